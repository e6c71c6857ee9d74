"""Mixes are chosen by their scores, whatever scores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.core.simplex import simplex_grid
from hierarchy.arms.scores import Scores
from hierarchy.arms.search import Score, Windows, best_by_regime, regime_table, swept

SEED_NOISE = np.array([50.0, -30.0, 10.0, 0.0])  # of selection seeds, the same for all candidates


def scored_by(score: Callable[[np.ndarray], Any]) -> Score:
    """Scores of candidates on four seeds, by a function."""
    return lambda candidates: np.stack([score(one) + SEED_NOISE for one in candidates])


def test_the_best_mix_of_a_regime_is_found_in_the_windows_that_began_in_it() -> None:
    """Seeds meet regimes at different times; a regime that none of them met has the best mix of all."""
    grid = simplex_grid(3, 3)
    regimes = np.array([[0, 2], [0, 0], [2, 2], [2, 0], [0, 0]])
    best_of = {0: 4, 2: 1}
    windows = np.zeros((5, len(grid), 2))
    for (window, seed), regime in np.ndenumerate(regimes):
        windows[window, :, seed] = 10.0 * window
        windows[window, best_of[regime], seed] += 1.0
    by_regime = best_by_regime(grid, Windows(Scores.unbounded(windows.mean(0)), windows, regimes, None, None), 4)
    assert_array_equal(by_regime, grid[[4, 4, 1, 4]])


def test_the_table_holds_the_best_mix_of_every_regime() -> None:
    grid = simplex_grid(3, 3)
    target = grid[[4, 0, 5, 2]]
    score = scored_by(lambda table: -((table - target) ** 2).sum())
    assert_array_equal(regime_table(score, grid, grid[1], grid[[1, 2, 3, 4]]), target)


def test_the_table_keeps_its_start_where_nothing_is_better() -> None:
    start = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    score = scored_by(lambda table: -((table - start) ** 2).sum())
    assert_array_equal(regime_table(score, simplex_grid(3, 3), np.full(3, 1 / 3), start), start)


def test_one_mix_for_all_regimes_is_kept_where_no_table_is_better() -> None:
    """Neither the start nor a sweep from it leads there: only all regimes together pay."""
    corner = np.eye(3)[0]
    score = scored_by(lambda table: 9.0 * (table == corner).all() - table[0, 0])
    found = regime_table(score, simplex_grid(3, 2), corner, np.eye(3)[[1, 2, 1]])
    assert_array_equal(found, np.tile(corner, (3, 1)))


def test_a_second_sweep_builds_on_what_the_first_one_changed() -> None:
    """The first regime's best mix pays only once the second has changed."""
    start, other = np.eye(3)[:2]

    def score_of(table: np.ndarray) -> float:
        second = float((table[1] == other).all())
        return second + 2.0 * second * float((table[0] == other).all())

    score, grid, table = scored_by(score_of), np.stack([start, other]), np.stack([start, start])
    assert_array_equal(swept(score, grid, table), [start, other])
    assert_array_equal(regime_table(score, grid, start, table), [other, other])
    assert_array_equal(table, [start, start])


@pytest.mark.parametrize(
    ("gains", "moves"),
    [
        ([0.9, 1.0, 1.1, 1.0], True),
        ([4.0, -3.0, 3.0, -3.0], False),
        ([2.0, 0.0, 2.0, 0.0], True),
        ([1.54, -0.46, 1.54, -0.46], False),
    ],
    ids=str,
)
def test_the_table_moves_only_for_a_gain_beyond_its_error(gains: list[float], moves: bool) -> None:
    start, other = np.eye(3)[:2]
    assert np.mean(gains) > 0
    score = scored_by(lambda table: np.array(gains) * table[0, 1])
    assert_array_equal(swept(score, np.stack([start, other]), start[None]), [other if moves else start])
