"""Mixes are chosen by their scores on selection seeds, in no more steps than they may take."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hierarchy.arms.episodes import Episodes
from hierarchy.arms.strategies import Fixed, RegimeTable
from hierarchy.objectives import objective
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.simplex import simplex_grid
from hierarchy.arms.selection import TRIAL_SEEDS, Selection, n_trials
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import TrainedActor
from tests.hierarchy.episodes import episodes

SEED_NOISE = np.array([50.0, -30.0, 10.0, 0.0])  # of selection seeds, the same for all candidates


def selection_by(
    monkeypatch: pytest.MonkeyPatch, config: ExperimentConfig, policy: TrainedActor, score: Callable[[np.ndarray], Any]
) -> Selection:
    """A selection whose candidates are scored by a function, not by simulation."""
    selection = Selection(config, policy)

    def scores(_: Any, candidates: np.ndarray, n_seeds: int | None = None) -> np.ndarray:
        return np.stack([score(one) + SEED_NOISE[:n_seeds] for one in candidates])

    monkeypatch.setattr(selection, "scores", scores)
    return selection


def played(windows: np.ndarray, regimes: np.ndarray) -> Episodes:
    """Episodes of ``windows (n_windows, n_candidates, n_seeds)`` in ``regimes (n_windows, n_seeds)``."""
    n_windows, n_candidates, _ = windows.shape
    return dataclasses.replace(
        episodes(windows.mean(0).ravel().tolist()),
        window_objective=windows.reshape(n_windows, -1),
        regimes=np.tile(regimes[:, None], (1, n_candidates, 1)).reshape(n_windows, -1),
    )


@pytest.mark.parametrize("best", range(6))
def test_fixed_best_is_the_mix_with_the_highest_score(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor, best: int
) -> None:
    grid, selection = simplex_grid(3, 3), Selection(tiny_config, policy)
    scores = np.array([-((mix - grid[best]) ** 2).sum() + SEED_NOISE[:2] for mix in grid])
    monkeypatch.setattr(selection, "_run", lambda *_: played(np.tile(scores, (4, 1, 1)), np.zeros((4, 2), np.int64)))
    assert_array_equal(selection.fixed(grid, 1)[0], grid[best])


def test_the_best_mix_of_a_regime_is_found_in_the_windows_that_began_in_it(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    """Seeds meet regimes at different times; a regime that none of them met keeps the best mix of all."""
    grid, selection = simplex_grid(3, 3), Selection(tiny_config, policy)
    regimes = np.array([[0, 2], [0, 0], [2, 2], [2, 0], [0, 0]])
    best_of = {0: 4, 2: 1}
    windows = np.zeros((5, len(grid), 2))
    for (window, seed), regime in np.ndenumerate(regimes):
        windows[window, :, seed] = 10.0 * window
        windows[window, best_of[regime], seed] += 1.0
    monkeypatch.setattr(selection, "_run", lambda *_: played(windows, regimes))
    best, by_regime = selection.fixed(grid, 4)
    assert_array_equal(best, grid[4])
    assert_array_equal(by_regime, grid[[4, 4, 1, 4]])


def test_the_table_holds_the_best_mix_of_every_regime(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    grid = simplex_grid(3, 3)
    target = grid[[4, 0, 5, 2]]
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: -((table - target) ** 2).sum())
    assert_array_equal(selection.regime_table(grid, grid[1], grid[[1, 2, 3, 4]]), target)


def test_the_table_keeps_its_start_where_nothing_is_better(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    start = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: -((table - start) ** 2).sum())
    assert_array_equal(selection.regime_table(simplex_grid(3, 3), np.full(3, 1 / 3), start), start)


def test_one_mix_for_all_regimes_is_kept_where_no_table_is_better(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    """Neither the start nor a sweep from it leads there: only all regimes together pay."""
    corner = np.eye(3)[0]
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: 9.0 * (table == corner).all() - table[0, 0])
    found = selection.regime_table(simplex_grid(3, 2), corner, np.eye(3)[[1, 2, 1]])
    assert_array_equal(found, np.tile(corner, (3, 1)))


def test_a_second_sweep_sees_what_the_first_one_changed(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    """The first regime's best mix pays only once the second has changed."""
    start, other = np.eye(3)[:2]

    def score(table: np.ndarray) -> float:
        second = float((table[1] == other).all())
        return second + 2.0 * second * float((table[0] == other).all())

    selection = selection_by(monkeypatch, tiny_config, policy, score)
    grid, table = np.stack([start, other]), np.stack([start, start])
    assert_array_equal(selection.swept(grid, table), [start, other])
    assert_array_equal(selection.regime_table(grid, start, table), [other, other])
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
def test_the_table_moves_only_for_a_gain_beyond_its_error(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor, gains: list[float], moves: bool
) -> None:
    start, other = np.eye(3)[:2]
    assert np.mean(gains) > 0
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: np.array(gains) * table[0, 1])
    assert_array_equal(selection.swept(np.stack([start, other]), start[None]), [other if moves else start])


def test_candidates_are_scored_on_the_same_selection_seeds(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    asked: list[tuple[str, list[int], int]] = []
    windows = upper.windows

    def watch(config: Any, lower: Any, role: Any, env_ids: list[int], n_windows: int) -> Any:
        asked.append((role, env_ids, n_windows))
        return windows(config, lower, role, env_ids, n_windows)

    monkeypatch.setattr(upper, "windows", watch)
    corner, middle = np.array([0.0, 0.0, 1.0]), np.full(3, 1 / 3)
    scores = Selection(tiny_config, policy).scores(Fixed, np.stack([corner, middle, corner]))
    assert asked == [("select", [0, 1, 0, 1, 0, 1], tiny_config.ablation.select_windows)]
    assert scores.shape == (3, 2)
    assert_allclose(scores[0], scores[2], rtol=1e-9)


def test_scores_are_the_objective_on_every_seed(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    mixes = simplex_grid(3, 2)
    env_ids = [0, 1] * len(mixes)
    windows = upper.windows(tiny_config, policy, "select", env_ids, tiny_config.ablation.select_windows)
    windows.reset()
    windows.run(np.repeat(mixes, 2, axis=0), windows.batch.episode_steps)
    paid = objective(windows.world.statistics(), tiny_config.upper, windows.world)
    scores = Selection(tiny_config, policy).scores(Fixed, mixes)
    assert_allclose(scores, paid.reshape(-1, 2), rtol=1e-9)
    assert len(np.unique(scores[:, 0])) > 1


def test_a_table_of_one_mix_scores_as_that_mix(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    grid = simplex_grid(3, 2)
    selection = Selection(tiny_config, policy)
    tables = np.repeat(grid[:, None], 2, axis=1)
    assert_allclose(selection.scores(RegimeTable, tables), selection.scores(Fixed, grid), rtol=1e-9)


# The mix that a tuner finds.


def steps_of(config: ExperimentConfig, meta_steps: int, **settings: Any) -> ExperimentConfig:
    """An upper agent trained for so many meta steps."""
    upper_config = dataclasses.replace(config.upper, meta_steps=meta_steps)
    return dataclasses.replace(config, upper=upper_config, **settings)


@pytest.mark.parametrize("corner", range(3))
def test_the_tuner_finds_a_corner_that_is_known_to_be_best(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor, corner: int
) -> None:
    config, best = steps_of(tiny_config, 1200), np.eye(3)[corner]
    tried: list[np.ndarray] = []

    def score(mix: np.ndarray) -> float:
        tried.append(mix)
        return -float(((mix - best) ** 2).sum())

    found = selection_by(monkeypatch, config, policy, score).tuned_static(3)
    assert len(tried) == n_trials(config) == 100
    assert_allclose(found, best, atol=0.1)
    assert_allclose(found, min(tried, key=lambda mix: ((mix - best) ** 2).sum()), atol=1e-12)


@pytest.mark.parametrize("meta_step", ["window", "episode"])
@pytest.mark.parametrize("meta_steps", [40, 41, 100, 8000])
def test_the_tuner_takes_no_more_steps_than_the_upper_agent(
    tiny_config: ExperimentConfig, meta_step: Any, meta_steps: int
) -> None:
    config = steps_of(tiny_config, meta_steps)
    config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step=meta_step))
    period = upper.lower_steps_per_window(config)
    of_agent = meta_steps * period
    of_trial = TRIAL_SEEDS * period * (config.ablation.select_windows if meta_step == "window" else 1)
    assert n_trials(config) * of_trial <= of_agent < (n_trials(config) + 1) * of_trial


def test_the_tuner_tells_of_all_its_steps(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    config = steps_of(tiny_config, 40)
    told: list[int] = []
    Selection(config, policy, told.append).tuned_static(3)
    n_steps = config.ablation.select_windows * config.upper.meta_period * TRIAL_SEEDS
    assert sum(told) == n_trials(config) * n_steps == 3 * n_steps


def test_trials_meet_the_same_requests(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    asked: list[tuple[str, list[int]]] = []
    windows = upper.windows

    def watch(config: Any, lower: Any, role: Any, env_ids: list[int], n_windows: int) -> Any:
        asked.append((role, env_ids))
        return windows(config, lower, role, env_ids, n_windows)

    monkeypatch.setattr(upper, "windows", watch)
    Selection(steps_of(tiny_config, 40), policy).tuned_static(3)
    assert asked == [("select", list(range(TRIAL_SEEDS)))] * 3


def test_the_tuner_is_reproduced_by_the_seed(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    def tuned(seed: int) -> np.ndarray:
        config = steps_of(tiny_config, 240, seed=seed)
        return selection_by(monkeypatch, config, policy, lambda mix: float(mix[0] * mix[1])).tuned_static(3)

    assert_array_equal(tuned(5), tuned(5))
    assert not np.array_equal(tuned(5), tuned(6))
    assert_allclose(tuned(5).sum(), 1.0)
