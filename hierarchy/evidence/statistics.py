"""Estimates and their intervals.

The unit is the seed: a mean over one seed's episode is one number. With several training seeds, each with evaluation seeds
of its own, the unit is the training seed, and figures are ``(n_training, n_evaluation)``: episodes of one agent share its
luck in training, so counting them as independent would promise far too much. On a trace the seeds replay overlapping
stretches of one recording, so there the unit is a block of the recording: all windows that began in it, whatever the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from envs.core.arrays import FloatArray

CONFIDENCE = 0.95
N_RESAMPLES = 5_000
BATCH = 500
"""Resamples that are held in memory at once."""
RESAMPLING_SEED = 20_240_101
N_BLOCKS = 20
"""Blocks that a recording is cut into; a block should be longer than what one request does to the next."""


class Estimate(TypedDict):
    """Of one arm; `bootstrap_ci95` stands beside the t interval when there are several training seeds."""

    mean: float
    median: float
    iqm: float
    ci95: list[float]
    bootstrap_ci95: list[float] | None
    per_seed: list[float]


class Comparison(TypedDict):
    """Of one arm over another, paired by seed; the intervals are of the difference, `p_better` is the share of episodes."""

    difference: float
    percent: float | None
    ci95: list[float]
    bootstrap_ci95: list[float] | None
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


def _resampled(samples: Sequence[NDArray[Any]], statistic: Callable[..., FloatArray], paired: bool) -> list[float]:
    """Percentile interval of a statistic of samples, resampled together or each by itself."""
    interval = stats.bootstrap(
        samples,
        statistic,
        paired=paired,
        vectorized=True,
        confidence_level=CONFIDENCE,
        n_resamples=N_RESAMPLES,
        method="percentile",
        batch=BATCH,
        rng=np.random.default_rng(RESAMPLING_SEED),
    ).confidence_interval
    return [float(interval.low), float(interval.high)]


def _bootstrap_ratio(numerator: FloatArray, denominator: FloatArray) -> list[float]:
    """Percentile interval of ``mean(numerator) / mean(denominator)``, both ``(n,)`` and resampled together."""
    return _resampled((numerator, denominator), _ratio_of_means, paired=True)


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

    return _resampled((rows, columns), mean, paired=False)


def _beside(values: FloatArray) -> list[float] | None:
    """The bootstrap interval, where there is more than one training seed."""
    return bootstrap_interval(values) if len(values) > 1 else None


def estimate(values: FloatArray, interval: list[float] | None = None) -> Estimate:
    """Of ``values (n_training, n_evaluation)``; Student's t over the units unless ``interval`` is given."""
    of_units = units(values)
    return {
        "mean": float(of_units.mean()),
        "median": float(np.median(of_units)),
        "iqm": float(stats.trim_mean(values, 0.25, axis=None)),
        "ci95": interval or t_interval(of_units),
        "bootstrap_ci95": _beside(values),
        "per_seed": [float(v) for v in of_units],
    }


def comparison(ours: FloatArray, theirs: FloatArray, interval: list[float] | None = None) -> Comparison:
    """``ours`` over ``theirs``, both ``(n_training, n_evaluation)`` and paired; ties count half in `p_better`."""
    difference = ours - theirs
    base = abs(float(theirs.mean()))
    return {
        "difference": float(difference.mean()),
        "percent": 100.0 * float(difference.mean()) / base if base > 0 else None,
        "ci95": interval or t_interval(units(difference)),
        "bootstrap_ci95": _beside(difference),
        "p_better": float(np.mean(difference > 0) + 0.5 * np.mean(difference == 0)),
    }


def gap_closed(ours: FloatArray, base: FloatArray, oracle: FloatArray) -> GapClosed | None:
    """``mean(ours - base) / mean(oracle - base)``, all ``(n_training, n_evaluation)``, bootstrapped jointly over the units.

    None unless the interval of the denominator is above 0: without a gain of the oracle there is no gap to speak of.
    """
    gain, gap = units(ours - base), units(oracle - base)
    if len(gap) < 2 or t_interval(gap)[0] <= 0.0:
        return None
    return {"mean": float(_ratio_of_means(gain, gap)), "ci95": _bootstrap_ratio(gain, gap)}
