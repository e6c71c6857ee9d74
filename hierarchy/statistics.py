"""Estimates and their intervals.

The unit is the seed: a mean over one seed's episode is one number. On a trace the seeds replay overlapping stretches of one
recording, so there the unit is a block of the recording: all windows that began in it, whatever the seed.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.95
N_RESAMPLES = 5_000
RESAMPLING_SEED = 20_240_101
N_BLOCKS = 20
"""Blocks that a recording is cut into; a block should be longer than what one request does to the next."""


class Estimate(TypedDict):
    """Of one arm."""

    mean: float
    iqm: float
    ci95: list[float]
    per_seed: list[float]


class Comparison(TypedDict):
    """Of one arm over another, paired by seed; `ci95` is of the difference."""

    difference: float
    percent: float | None
    ci95: list[float]
    p_better: float


class GapClosed(TypedDict):
    """Share of the gain of the delayed oracle over the best fixed mix."""

    mean: float
    ci95: list[float]


def t_interval(values: FloatArray) -> list[float]:
    """Student's t interval of the mean of ``values (n,)``; a single value has none and gives itself twice."""
    mean = float(values.mean())
    error = float(stats.sem(values)) if len(values) > 1 else 0.0
    if error == 0.0:
        return [mean, mean]
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return [float(low), float(high)]


def block_interval(values: FloatArray, position: FloatArray, centre: float) -> list[float]:
    """Bootstrap interval over blocks of a recording, from ``values (n_windows, n_seeds)``.

    ``position``, of the same shape, is where in the recording a window began, in [0, 1). An objective that is no sum has
    another mean over windows than over episodes: the interval is moved from the first to the second, ``centre``.
    """
    block = np.minimum((position * N_BLOCKS).astype(np.int64), N_BLOCKS - 1).ravel()
    sums = np.bincount(block, weights=values.ravel(), minlength=N_BLOCKS).astype(np.float64)
    counts = np.bincount(block, minlength=N_BLOCKS).astype(np.float64)
    there = counts > 0
    if there.sum() < 2:
        return [centre, centre]
    low, high = _bootstrap_ratio(sums[there], counts[there])
    shift = centre - float(values.mean())
    return [low + shift, high + shift]


def _ratio_of_means(numerator: FloatArray, denominator: FloatArray, axis: int = -1) -> FloatArray:
    quotient: FloatArray = numerator.mean(axis) / denominator.mean(axis)
    return quotient


def _bootstrap_ratio(numerator: FloatArray, denominator: FloatArray) -> list[float]:
    """Percentile interval of ``mean(numerator) / mean(denominator)``, both ``(n,)`` and resampled together."""
    interval = stats.bootstrap(
        (numerator, denominator),
        _ratio_of_means,
        paired=True,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=N_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(RESAMPLING_SEED),
    ).confidence_interval
    return [float(interval.low), float(interval.high)]


def estimate(values: FloatArray, interval: list[float] | None = None) -> Estimate:
    """Mean, interquartile mean and interval of ``values (n,)``, one a seed; Student's t unless ``interval`` is given."""
    return {
        "mean": float(values.mean()),
        "iqm": float(stats.trim_mean(values, 0.25)),
        "ci95": interval or t_interval(values),
        "per_seed": [float(v) for v in values],
    }


def comparison(ours: FloatArray, theirs: FloatArray, interval: list[float] | None = None) -> Comparison:
    """``ours`` over ``theirs``, both ``(n,)`` and paired by seed; ties count half in `p_better`."""
    difference = ours - theirs
    base = abs(float(theirs.mean()))
    return {
        "difference": float(difference.mean()),
        "percent": 100.0 * float(difference.mean()) / base if base > 0 else None,
        "ci95": interval or t_interval(difference),
        "p_better": float(np.mean(difference > 0) + 0.5 * np.mean(difference == 0)),
    }


def gap_closed(ours: FloatArray, base: FloatArray, oracle: FloatArray) -> GapClosed | None:
    """``mean(ours - base) / mean(oracle - base)``, bootstrapped jointly over the paired seeds.

    None unless the interval of the denominator is above 0: without a gain of the oracle there is no gap to speak of.
    """
    if len(base) < 2 or t_interval(oracle - base)[0] <= 0.0:
        return None

    gain, gap = ours - base, oracle - base
    return {"mean": float(_ratio_of_means(gain, gap)), "ci95": _bootstrap_ratio(gain, gap)}
