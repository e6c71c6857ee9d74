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


class Blocks(TypedDict):
    """Of windows on a recording, by block: sums of their objective, and how many there were."""

    sums: list[float]
    counts: list[float]


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


def blocks_of(values: FloatArray, position: FloatArray) -> Blocks:
    """Sums and counts of ``values (n_windows, n_seeds)`` by block of a recording.

    ``position``, of the same shape, is where in the recording a window began, in [0, 1).
    """
    block = np.minimum((position * N_BLOCKS).astype(np.int64), N_BLOCKS - 1).ravel()
    sums = np.bincount(block, weights=values.ravel(), minlength=N_BLOCKS).astype(np.float64)
    counts = np.bincount(block, minlength=N_BLOCKS).astype(np.float64)
    return {"sums": sums.tolist(), "counts": counts.tolist()}


def block_interval(sums: FloatArray, counts: FloatArray, centre: float) -> list[float]:
    """Bootstrap interval over blocks of a recording, from ``sums`` and ``counts (n_training, N_BLOCKS)`` of windows.

    All training seeds replay the same blocks, so more of them say no more about other recordings: blocks are resampled, and
    with several training seeds these as well. An objective that is no sum has another mean over windows than over episodes:
    the interval is moved from the first to the second, ``centre``.
    """
    there = counts.sum(0) > 0
    if there.sum() < 2:
        return [centre, centre]
    sums, counts = sums[:, there], counts[:, there]
    rows, columns = np.arange(len(sums)), np.arange(sums.shape[1])

    def ratio(column: NDArray[np.int64], row: NDArray[np.int64] | None = None, axis: int = -1) -> FloatArray:
        of_seeds = (part.sum(0)[column] if row is None else _crossed(part, row, column) for part in (sums, counts))
        numerator, denominator = of_seeds
        quotient: FloatArray = numerator.sum(-1) / np.maximum(denominator.sum(-1), 1.0)
        return quotient

    low, high = _resampled((columns, rows) if len(rows) > 1 else (columns,), ratio, paired=False)
    shift = centre - float(sums.sum() / counts.sum())
    return [low + shift, high + shift]


def _crossed(part: FloatArray, row: NDArray[np.int64], column: NDArray[np.int64]) -> FloatArray:
    """Sums over drawn rows of drawn columns, ``(..., n_columns)``."""
    drawn: FloatArray = part[row[..., :, None], column[..., None, :]].sum(-2)
    return drawn


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


def fieller_interval(gain: FloatArray, gap: FloatArray) -> list[float] | None:
    """Interval of ``mean(gain) / mean(gap)``, both ``(n,)`` and paired; None where it has no bounds.

    The ratios ``r`` for which ``mean(gain - r * gap)`` is not told from 0 by Student's t (Fieller, "Some problems in
    interval estimation", JRSS B 1954): exact for normal units, where a bootstrap over few of them is too narrow. It is
    bounded if the gap is told from 0.
    """
    n = len(gap)
    covariance = np.cov(np.stack([gain, gap])) / n
    t2 = float(stats.t.ppf(0.5 + CONFIDENCE / 2.0, n - 1)) ** 2
    a = gap.mean() ** 2 - t2 * covariance[1, 1]
    b = gain.mean() * gap.mean() - t2 * covariance[0, 1]
    c = gain.mean() ** 2 - t2 * covariance[0, 0]
    if a <= 0.0:
        return None
    root = np.sqrt(max(b * b - a * c, 0.0))
    return [float((b - root) / a), float((b + root) / a)]


def gap_closed(ours: FloatArray, base: FloatArray, oracle: FloatArray) -> GapClosed | None:
    """``mean(ours - base) / mean(oracle - base)``, all ``(n_training, n_evaluation)``, with Fieller's interval over the
    units.

    None unless the interval of the denominator is above 0: without a gain of the oracle there is no gap to speak of.
    """
    gain, gap = units(ours - base), units(oracle - base)
    if len(gap) < 2 or gap.mean() <= 0.0:
        return None
    interval = fieller_interval(gain, gap)
    return None if interval is None else {"mean": float(gain.mean() / gap.mean()), "ci95": interval}


NOT_BEHIND = 0.02
"""A lower end of an interval above minus this share of the rival's objective is not behind it."""


def not_behind(compared: Comparison, rival: float) -> bool:
    """Whether an arm is shown not to be behind a rival with a mean objective of ``rival``."""
    return compared["ci95"][0] > -NOT_BEHIND * abs(rival)
