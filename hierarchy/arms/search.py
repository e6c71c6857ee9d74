"""How the mixes of regimes are chosen, given what scores them; nothing here knows how a score comes about."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from hierarchy.arms.scores import Scores

N_SWEEPS = 2
"""Sweeps of coordinate ascent over the regimes of the oracles' table."""

Score = Callable[[FloatArray], FloatArray]
"""From candidates ``(n, ...)`` to their objective on every seed ``(n, n_seeds)``."""


class Windows(NamedTuple):
    """Candidates on all seeds, window by window."""

    scores: Scores  # (n_candidates, n_seeds)
    window_objective: FloatArray  # (n_windows, n_candidates, n_seeds)
    regimes: IntArray  # (n_windows, n_seeds), the same under every candidate
    observations: FloatArray32 | None  # (n_windows, n_candidates, n_seeds, n_features), if they were asked for, and
    running: BoolArray | None  # (n_windows, n_candidates, n_seeds) where an episode has not ended of itself before


def best_by_regime(grid: FloatArray, windows: Windows, n_regimes: int) -> FloatArray:
    """The mix of the grid that was best in the windows of each regime ``(n_regimes, k)``.

    A regime that was not met has the best mix of all.
    """
    best = int(windows.scores.objective.mean(-1).argmax())
    table = np.tile(grid[best], (n_regimes, 1))
    for regime in range(n_regimes):
        met = windows.regimes == regime
        if met.any():
            table[regime] = grid[windows.window_objective.swapaxes(0, 1)[:, met].mean(-1).argmax()]
    return table


def regime_table(score: Score, grid: FloatArray, fixed_best: FloatArray, start: FloatArray) -> FloatArray:
    """A mix per regime ``(n_regimes, k)``: the best of one mix for all, ``start``, and what sweeps make of it."""
    tables = [np.tile(fixed_best, (len(start), 1)), start]
    for _ in range(N_SWEEPS):
        tables.append(swept(score, grid, tables[-1]))
    candidates = np.stack(tables)
    best: FloatArray = candidates[score(candidates).mean(-1).argmax()]
    return best


def swept(score: Score, grid: FloatArray, start: FloatArray) -> FloatArray:
    """One sweep of coordinate ascent *in the switching world*: what one regime leaves behind is paid in the next.

    A regime keeps its mix unless another one is better by more than the standard error of the paired gain: a regime is met a
    few times only, and the best of many noisy scores would rarely be the best mix. One selection seed has no standard error,
    so nothing changes.
    """
    table = start
    for regime in range(len(start)):
        candidates = np.tile(table, (len(grid) + 1, 1, 1))
        candidates[1:, regime] = grid
        scores = score(candidates)
        best = int(scores.mean(-1).argmax())
        gain = scores[best] - scores[0]
        if len(gain) > 1 and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)):
            table = candidates[best]
    return table
