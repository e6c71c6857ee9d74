"""Estimates and their intervals.

The unit is the seed: a mean over one seed's episode is one number. With several training seeds, each with evaluation seeds
of its own, the unit is the training seed, and figures are ``(n_training, n_evaluation)``: episodes of one agent share its
luck in training, so counting them as independent would promise far too much. On a recording other units take their place,
see `evidence.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from envs.core.arrays import FloatArray

CONFIDENCE = 0.95
N_RESAMPLES = 5_000
BATCH = 500
"""Resamples that are held in memory at once."""
RESAMPLING_SEED = 20_240_101


class Estimate(TypedDict):
    """Of one arm; `bootstrap_ci95` stands beside the t interval when there are several seeds of both kinds."""

    mean: float
    median: float
    iqm: float
    ci95: list[float]
    bootstrap_ci95: list[float] | None
    per_seed: list[float]


class Comparison(TypedDict):
    """Of one arm over another, paired by seed; the intervals are of the difference, `p_better` is the share of episodes.

    `percent` is of the other's objective, and None where that is not told from 0.
    """

    difference: float
    percent: float | None
    ci95: list[float]
    bootstrap_ci95: list[float] | None
    p_better: float


class GapClosed(TypedDict):
    """Share of the gain of one arm over another that a third one got."""

    mean: float
    ci95: list[float]


def _errors(effects: Sequence[FloatArray]) -> tuple[FloatArray, float]:
    """Covariance ``(k, k)`` of ``k`` means, and degrees of freedom, from effects ``(k, n)`` of every kind of unit.

    Kinds are crossed: variances of the means over each add up, and degrees of freedom are those of Satterthwaite, "An
    approximate distribution of estimates of variance components" (Biometrics Bulletin 1946), the least of the ``k``. A
    single unit of a kind tells no variance.
    """
    several = [one for one in effects if one.shape[-1] > 1]
    parts = np.array([np.cov(one).reshape(len(one), len(one)) / one.shape[-1] for one in several])
    freedom = np.array([one.shape[-1] - 1 for one in several])
    covariance = parts.sum(0)
    variances = np.diagonal(parts, axis1=1, axis2=2)  # (n_kinds, k)
    varies = np.diagonal(covariance) > 0.0
    of_means = variances.sum(0)[varies] ** 2 / (variances[:, varies] ** 2 / freedom[:, None]).sum(0)
    return covariance, float(min(of_means, default=freedom.min()))


def interval(centre: float, effects: Sequence[FloatArray]) -> list[float]:
    """Student's t interval around ``centre``, from the effects ``(n,)`` of every kind of unit that it varies with.

    What doesn't vary, or has a single unit of each kind, has none and gives itself twice.
    """
    if max(map(len, effects)) < 2:
        return [centre, centre]
    covariance, freedom = _errors([one[None] for one in effects])
    half_width = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, freedom) * np.sqrt(covariance[0, 0]))
    return [centre - half_width, centre + half_width]


def t_interval(values: FloatArray) -> list[float]:
    """Student's t interval of the mean of ``values (n,)``; a single value has none and gives itself twice."""
    return interval(float(values.mean()), [values])


def units(values: FloatArray) -> FloatArray:
    """One number a unit, ``(n,)``: means of training seeds, or with a single one its episodes, of ``values (n, m)``."""
    of_units: FloatArray = values[0] if len(values) == 1 else values.mean(-1)
    return of_units


def bootstrap_interval(values: FloatArray) -> list[float]:
    """Percentile interval of the mean of ``values (n_training, n_evaluation)``, both seeds resampled.

    It is a little wide where every training seed has evaluation seeds of its own, since it lets them share their luck.
    """
    rows, columns = np.arange(values.shape[0]), np.arange(values.shape[1])

    def mean(row: NDArray[np.int64], column: NDArray[np.int64], axis: int = -1) -> FloatArray:
        drawn: FloatArray = values[row[..., :, None], column[..., None, :]].mean((-2, -1))
        return drawn

    found = stats.bootstrap(
        (rows, columns),
        mean,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=N_RESAMPLES,
        method="percentile",
        batch=BATCH,
        rng=np.random.default_rng(RESAMPLING_SEED),
    ).confidence_interval
    return [float(found.low), float(found.high)]


def _intervals(values: FloatArray, effects: Sequence[FloatArray] | None) -> tuple[list[float], list[float] | None]:
    """The interval of a mean, and a bootstrap over training and evaluation seeds where these are what it varies with."""
    centre = float(units(values).mean())
    if effects is not None:
        return interval(centre, effects), None
    return interval(centre, [units(values)]), bootstrap_interval(values) if min(values.shape) > 1 else None


def estimate(values: FloatArray, effects: Sequence[FloatArray] | None = None) -> Estimate:
    """Of ``values (n_training, n_evaluation)``; given ``effects``, these are what it varies with, not seeds."""
    of_units = units(values)
    ci95, beside = _intervals(values, effects)
    return {
        "mean": float(of_units.mean()),
        "median": float(np.median(of_units)),
        "iqm": float(stats.trim_mean(values, 0.25, axis=None)),
        "ci95": ci95,
        "bootstrap_ci95": beside,
        "per_seed": [float(v) for v in of_units],
    }


def comparison(
    ours: FloatArray,
    theirs: FloatArray,
    effects: Sequence[FloatArray] | None = None,
    of_theirs: Sequence[FloatArray] | None = None,
) -> Comparison:
    """``ours`` over ``theirs``, both ``(n_training, n_evaluation)`` and paired; ties count half in `p_better`.

    Given ``effects``, these are what the difference varies with, and ``of_theirs`` the others, not seeds.
    """
    difference, base = ours - theirs, float(theirs.mean())
    low, high = interval(base, of_theirs or [units(theirs)])
    ci95, beside = _intervals(difference, effects)
    return {
        "difference": float(difference.mean()),
        "percent": 100.0 * float(difference.mean()) / abs(base) if low > 0 or high < 0 else None,
        "ci95": ci95,
        "bootstrap_ci95": beside,
        "p_better": float(np.mean(difference > 0) + 0.5 * np.mean(difference == 0)),
    }


def fieller_interval(gain: float, gap: float, effects: Sequence[FloatArray]) -> list[float] | None:
    """Interval of ``gain / gap``, two means with effects ``(2, n)`` of every kind of unit; None where it has no bounds.

    The ratios ``r`` for which ``gain - r * gap`` is not told from 0 by Student's t (Fieller, "Some problems in interval
    estimation", JRSS B 1954): exact for normal units, where a bootstrap over few of them is too narrow. It is bounded if the
    gap is told from 0. Solved for the distance from ``gain / gap``, so that a gain that is a share of the gap leaves no
    width.
    """
    ratio = gain / gap
    covariance, freedom = _errors([np.stack([one[0] - ratio * one[1], one[1]]) for one in effects])
    t2 = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, freedom)) ** 2
    a = gap**2 - t2 * covariance[1, 1]
    if a <= 0.0:
        return None
    root = np.sqrt((t2 * covariance[0, 1]) ** 2 + a * t2 * covariance[0, 0])
    return [float(ratio - (t2 * covariance[0, 1] + sign * root) / a) for sign in (1.0, -1.0)]


def gap_closed(
    ours: FloatArray, base: FloatArray, oracle: FloatArray, effects: Sequence[FloatArray] | None = None
) -> GapClosed | None:
    """``mean(ours - base) / mean(oracle - base)``, all ``(n_training, n_evaluation)``, with Fieller's interval.

    It varies with seeds, or with ``effects (2, n)`` on both means. None unless the interval of the denominator is above 0:
    without a gain of the oracle there is no gap to speak of.
    """
    of_units = np.stack([units(ours - base), units(oracle - base)])
    effects = [of_units] if effects is None else effects
    gain, gap = of_units.mean(-1)
    if gap <= 0.0 or max(one.shape[-1] for one in effects) < 2:
        return None
    ci95 = fieller_interval(gain, gap, effects)
    return None if ci95 is None else {"mean": float(gain / gap), "ci95": ci95}


NOT_BEHIND = 0.02
"""A lower end of an interval above minus this share of the rival's objective is not behind it."""


def not_behind(compared: Comparison, rival: float) -> bool:
    """Whether an arm is shown not to be behind a rival with a mean objective of ``rival``; a single unit shows nothing."""
    low, high = compared["ci95"]
    return low < high and low > -NOT_BEHIND * abs(rival)
