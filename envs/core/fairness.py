"""Fairness measures: pure functions over the last axis, after a mask of the servers that take part.

Every measure is larger when the allocation is fairer, so that any of them can stand in a reward; those of spread (variance,
standard deviation, coefficient of variation) come with a minus sign. Jain's index is from Jain, Chiu and Hawe, "A
quantitative measure of fairness and discrimination", DEC-TR-301, 1984.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.core.arrays import BoolArray, FloatArray

Measure = Callable[[FloatArray, BoolArray], FloatArray]

_TINY = 1e-12


def _count(mask: BoolArray) -> FloatArray:
    count: FloatArray = np.maximum(mask.sum(-1), 1).astype(np.float64)
    return count


def _mean(x: FloatArray, mask: BoolArray) -> FloatArray:
    mean: FloatArray = np.where(mask, x, 0.0).sum(-1) / _count(mask)
    return mean


def jain(x: FloatArray, mask: BoolArray) -> FloatArray:
    """Jain's index ``(sum x)^2 / (n sum x^2)`` in [1/n, 1]; an allocation of nothing is fair (1)."""
    kept = np.where(mask, x, 0.0)
    square_sum = (kept**2).sum(-1)
    index = kept.sum(-1) ** 2 / np.maximum(_count(mask) * square_sum, _TINY)
    return np.where(square_sum > _TINY, index, 1.0)


def variance(x: FloatArray, mask: BoolArray) -> FloatArray:
    """Minus the population variance."""
    centred = np.where(mask, x - _mean(x, mask)[..., None], 0.0)
    result: FloatArray = -(centred**2).sum(-1) / _count(mask)
    return result


def std(x: FloatArray, mask: BoolArray) -> FloatArray:
    """Minus the population standard deviation."""
    return -np.sqrt(-variance(x, mask))


def cv(x: FloatArray, mask: BoolArray) -> FloatArray:
    """Minus the coefficient of variation, standard deviation over mean; 0 when the mean is 0."""
    mean = _mean(x, mask)
    return np.where(mean > _TINY, std(x, mask) / np.maximum(mean, _TINY), 0.0)


def max_min(x: FloatArray, mask: BoolArray) -> FloatArray:
    """The smallest share, which max-min fairness maximises; for quantities where more is better."""
    smallest = np.where(mask, x, np.inf).min(-1)
    return np.where(np.isfinite(smallest), smallest, 0.0)


def min_max(x: FloatArray, mask: BoolArray) -> FloatArray:
    """Minus the largest load, which min-max fairness minimises; for quantities where less is better."""
    largest = np.where(mask, x, -np.inf).max(-1)
    return np.where(np.isfinite(largest), -largest, 0.0)


def product(x: FloatArray, mask: BoolArray) -> FloatArray:
    """The product of the shares (Nash welfare)."""
    result: FloatArray = np.where(mask, x, 1.0).prod(-1)
    return result


def log_product(x: FloatArray, mask: BoolArray) -> FloatArray:
    """The logarithm of the product (proportional fairness); shares are held at 1e-12 or above."""
    result: FloatArray = np.log(np.maximum(np.where(mask, x, 1.0), _TINY)).sum(-1)
    return result


MEASURES: dict[str, Measure] = {
    "jain": jain,
    "variance": variance,
    "std": std,
    "cv": cv,
    "max_min": max_min,
    "min_max": min_max,
    "product": product,
    "log_product": log_product,
}


def unfairness(x: FloatArray, mask: BoolArray, measure: str) -> FloatArray:
    """A measure turned into a loss in [0, 1]: 0 when all shares are equal, 1 when one server has everything.

    ``x >= 0`` is divided by its mean first, so the loss does not depend on the unit. With ``1`` the equal allocation and
    ``e`` the one that gives all to a single server, the loss is ``(m(1) - m(x)) / (m(1) - m(e))``, clipped to [0, 1];
    for Jain's index that is ``(1 - J) / (1 - 1/n)``.
    """
    kept = np.where(mask, x, 0.0)
    mean = _mean(kept, mask)[..., None]
    shares = np.where(mean > _TINY, kept / np.maximum(mean, _TINY), 1.0)
    first = mask & (np.cumsum(mask, -1) == 1)
    function = MEASURES[measure]
    best = function(np.ones_like(kept), mask)
    worst = function(np.where(first, _count(mask)[..., None], 0.0), mask)
    span = best - worst
    loss = (best - function(shares, mask)) / np.where(span > _TINY, span, 1.0)
    return np.where(span > _TINY, np.clip(loss, 0.0, 1.0), 0.0)
