"""Distributions of work, as they look through a log: blurred by a triangle, since instants are rounded and answers jitter.

With the stop-loss transform H(x) = E[max(W - x, 0)] of a density, its convolution with a triangle of half-width h is the
second difference (H(s + h) - 2 H(s) + H(s - h)) / h^2: exact, and no cancellation far out, where H vanishes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.load_balancing.kernel.arrivals.traffic import WorkDistribution

OUTLIERS = 0.005
"""Share of requests that may be anything: a line was lost before them, or a server does what servers do."""
LEAST_DENSITY = 1e-300


class Family(NamedTuple):
    """A distribution of mean ``m`` with at most one number besides.

    Attributes
    ----------
    name
        As in `workload.work`.
    beyond
        H of mean ``m (n,)``, the number, and ``x (n,)``.
    start, low, high
        The number where a fit begins, and its bounds; one that has none has 1 three times.
    settings
        Of the workload, from the number.
    """

    name: WorkDistribution
    beyond: Callable[[FloatArray, float, FloatArray], FloatArray]
    start: float
    low: float
    high: float
    settings: Callable[[float], dict[str, float]]


def _exponential(mean: FloatArray, _: float, x: FloatArray) -> FloatArray:
    below: FloatArray = np.where(x > 0, mean * np.exp(-np.maximum(x, 0.0) / mean), mean - x)
    return below


def _lognormal(mean: FloatArray, cv: float, x: FloatArray) -> FloatArray:
    from scipy.special import ndtr

    sigma = np.sqrt(np.log1p(cv * cv))
    positive = np.maximum(x, 1e-12)
    far = np.log(mean / positive) / sigma + sigma / 2.0
    above: FloatArray = np.where(x > 0, mean * ndtr(far) - positive * ndtr(far - sigma), mean - x)
    return above


def _pareto(mean: FloatArray, shape: float, x: FloatArray) -> FloatArray:
    least = mean * (shape - 1.0) / shape
    above: FloatArray = np.where(
        x > least, (least / np.maximum(x, least)) ** shape * np.maximum(x, least) / (shape - 1.0), mean - x
    )
    return above


FAMILIES: tuple[Family, ...] = (
    Family("exponential", _exponential, 1.0, 1.0, 1.0, lambda _: {}),
    Family("lognormal", _lognormal, 1.0, 0.02, 30.0, lambda cv: {"work_cv": cv}),
    Family("pareto", _pareto, 2.5, 1.05, 50.0, lambda shape: {"pareto_shape": shape}),
)


def log_density(family: Family, mean: FloatArray, number: float, blur_s: FloatArray | float, seen: FloatArray) -> FloatArray:
    """Of times in service as a log has them, ``seen (n,)``, that of each having its own ``mean (n,)``."""
    above = [family.beyond(mean, number, seen + side * blur_s) for side in (1.0, 0.0, -1.0)]
    density = np.maximum((above[0] - 2.0 * above[1] + above[2]) / blur_s**2, 0.0)
    anything = 0.5 / mean / (1.0 + np.abs(seen) / mean) ** 2
    log: FloatArray = np.log(np.maximum((1.0 - OUTLIERS) * density + OUTLIERS * anything, LEAST_DENSITY))
    return log
