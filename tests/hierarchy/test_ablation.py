"""All arms run on the same evaluation seeds, after mixes were chosen on others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3 import TD3

from envs.load_balancing.heuristics import HEURISTICS
from hierarchy import ablation, upper
from hierarchy.ablation import Episodes, Selection, simplex_grid
from hierarchy.config import ExperimentConfig
from hierarchy.meta_env import UNKNOWN_REGIME
from hierarchy.objectives import objective
from hierarchy.recurrent import FusedLstmPolicy
from hierarchy.strategies import STRATEGIES, Fixed, RegimeTable, Seen

N_SEEDS, N_WINDOWS = 3, 4  # of the tiny settings
Arms = dict[str, Episodes | None]


@pytest.fixture(scope="module")
def steps_told() -> list[int]:
    """Lower steps that the ablation of `arms` told of."""
    return []


@pytest.fixture(scope="module")
def arms(tiny_config: ExperimentConfig, policy: FusedLstmPolicy, upper_agent: TD3, steps_told: list[int]) -> Arms:
    return ablation.run_arms(tiny_config, policy, upper_agent, steps_told.append)


def ablated(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **settings))


def there(arms: Arms) -> dict[str, Episodes]:
    return {name: episodes for name, episodes in arms.items() if episodes is not None}


# Mixes to choose from.


@pytest.mark.parametrize(("n_terms", "n_points"), [(1, 2), (2, 2), (3, 2), (3, 5), (4, 4)])
def test_the_grid_is_all_of_the_simplex_at_its_spacing(n_terms: int, n_points: int) -> None:
    grid = simplex_grid(n_terms, n_points)
    parts = n_points - 1
    assert len(np.unique(grid, axis=0)) == len(grid) == math.comb(parts + n_terms - 1, n_terms - 1)
    assert_allclose(grid.sum(-1), 1.0)
    assert_allclose(grid * parts, (grid * parts).round())
    assert (grid >= 0).all()
    assert set(map(tuple, np.eye(n_terms))) <= set(map(tuple, grid))


SEED_NOISE = np.array([50.0, -30.0, 10.0, 0.0])  # of selection seeds, the same for all candidates


def selection_by(
    monkeypatch: pytest.MonkeyPatch, config: ExperimentConfig, policy: FusedLstmPolicy, score: Callable[[np.ndarray], Any]
) -> Selection:
    """A selection whose candidates are scored by a function, not by simulation."""
    selection = Selection(config, policy)
    monkeypatch.setattr(selection, "scores", lambda _, candidates: np.stack([score(one) + SEED_NOISE for one in candidates]))
    return selection


@pytest.mark.parametrize("best", range(6))
def test_fixed_best_is_the_mix_with_the_highest_score(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: FusedLstmPolicy, best: int
) -> None:
    grid = simplex_grid(3, 3)
    selection = selection_by(monkeypatch, tiny_config, policy, lambda mix: -((mix - grid[best]) ** 2).sum())
    assert_array_equal(selection.fixed_best(grid), grid[best])


def test_the_table_holds_the_best_mix_of_every_regime(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: FusedLstmPolicy
) -> None:
    grid = simplex_grid(3, 3)
    target = grid[[4, 0, 5, 2]]
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: -((table - target) ** 2).sum())
    assert_array_equal(selection.regime_table(grid, grid[1], 4), target)


def test_the_table_keeps_its_start_where_nothing_is_better(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: FusedLstmPolicy
) -> None:
    start = np.array([0.2, 0.3, 0.5])
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: -((table - start) ** 2).sum())
    assert_array_equal(selection.regime_table(simplex_grid(3, 3), start, 2), np.tile(start, (2, 1)))


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
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: FusedLstmPolicy, gains: list[float], moves: bool
) -> None:
    start, other = np.eye(3)[:2]
    assert np.mean(gains) > 0
    selection = selection_by(monkeypatch, tiny_config, policy, lambda table: np.array(gains) * table[0, 1])
    assert_array_equal(selection.regime_table(np.stack([start, other]), start, 1), [other if moves else start])


def test_candidates_are_scored_on_the_same_selection_seeds(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, policy: FusedLstmPolicy
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


def test_scores_are_the_objective_on_every_seed(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    mixes = simplex_grid(3, 2)
    env_ids = [0, 1] * len(mixes)
    windows = upper.windows(tiny_config, policy, "select", env_ids, tiny_config.ablation.select_windows)
    windows.reset()
    windows.run(np.repeat(mixes, 2, axis=0), windows.batch.episode_steps)
    paid = objective(windows.world.statistics(), tiny_config.upper)
    scores = Selection(tiny_config, policy).scores(Fixed, mixes)
    assert_allclose(scores, paid.reshape(-1, 2), rtol=1e-9)
    assert len(np.unique(scores[:, 0])) > 1


def test_a_table_of_one_mix_scores_as_that_mix(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    grid = simplex_grid(3, 2)
    selection = Selection(tiny_config, policy)
    tables = np.repeat(grid[:, None], 2, axis=1)
    assert_allclose(selection.scores(RegimeTable, tables), selection.scores(Fixed, grid), rtol=1e-9)


# The arms.


def test_every_strategy_and_every_heuristic_is_an_arm(arms: Arms) -> None:
    assert list(arms) == [*STRATEGIES, *HEURISTICS]
    assert len(HEURISTICS) == 9
    assert {name for name, episodes in arms.items() if episodes is None} == {"fixed_custom"}


def test_all_arms_see_the_same_requests(arms: Arms) -> None:
    expected = arms["td3"].statistics["arrival_rate_hz"]
    assert len(np.unique(expected)) == N_SEEDS
    for name, episodes in there(arms).items():
        assert_array_equal(episodes.statistics["arrival_rate_hz"], expected, err_msg=name)
        assert_array_equal(episodes.statistics["interactive_share"], arms["td3"].statistics["interactive_share"])


def test_all_arms_run_whole_episodes(arms: Arms, tiny_config: ExperimentConfig) -> None:
    hours = N_WINDOWS * tiny_config.upper.meta_period * tiny_config.env.dt_s / 3600
    for name, episodes in there(arms).items():
        assert_allclose(episodes.statistics["duration_h"], hours, err_msg=name)
        assert_allclose(episodes.objective, objective(episodes.statistics, tiny_config.upper), err_msg=name)
        assert episodes.objective.shape == (N_SEEDS,)


def test_profit_of_an_episode_is_the_mean_over_its_windows(arms: Arms) -> None:
    for name, episodes in there(arms).items():
        assert episodes.window_objective.shape == (N_WINDOWS, N_SEEDS)
        assert_allclose(episodes.window_objective.mean(0), episodes.objective, rtol=1e-6, atol=1e-9, err_msg=name)


def test_every_request_is_paid_for_one_way_or_the_other(arms: Arms, tiny_config: ExperimentConfig) -> None:
    """Value equals penalty in the default classes, and the episodes of all arms are settled."""
    classes = tiny_config.env.workload.classes
    assert all(one.value_usd == one.penalty_usd for one in classes)
    for name, episodes in there(arms).items():
        figures = episodes.statistics
        arrived = figures["arrival_rate_hz"] * figures["duration_h"] * 3600
        shares = np.stack([figures["interactive_share"], 1.0 - figures["interactive_share"]])
        worth = sum(share * arrived * one.value_usd for share, one in zip(shares, classes, strict=True))
        assert_allclose(figures["revenue_usd"] + figures["penalty_usd"], worth, err_msg=name)


def test_arms_of_the_hierarchy_keep_their_contexts(arms: Arms) -> None:
    for name in STRATEGIES:
        if arms[name] is not None:
            assert arms[name].contexts.shape == (N_WINDOWS, N_SEEDS, 3)
            assert_allclose(arms[name].contexts.sum(-1), 1.0, err_msg=name)
    assert all(arms[name].contexts is None for name in HEURISTICS)
    assert_allclose(arms["fixed_equal"].contexts, 1 / 3)
    assert len(np.unique(arms["random"].contexts[..., 0])) == N_WINDOWS * N_SEEDS


def test_fixed_best_plays_what_selection_found(arms: Arms, tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    best = Selection(tiny_config, policy).fixed_best(simplex_grid(3, tiny_config.ablation.grid_points))
    assert_array_equal(arms["fixed_best"].contexts, np.broadcast_to(best, (N_WINDOWS, N_SEEDS, 3)))


def test_progress_adds_up_to_what_was_announced(
    arms: Arms, steps_told: list[int], tiny_config: ExperimentConfig, policy: FusedLstmPolicy
) -> None:
    assert sum(steps_told) == ablation.n_lower_steps(tiny_config, policy)
    assert there(arms)


@pytest.mark.parametrize(
    ("meta_step", "settings"),
    [("window", {"fixed": [2.0, 1.0, 1.0]}), ("window", {"heuristics": False, "grid_points": 3}), ("episode", {})],
    ids=["fixed", "no_heuristics", "episode"],
)
def test_progress_adds_up_whatever_is_run(
    tiny_config: ExperimentConfig, policy: FusedLstmPolicy, upper_agent: TD3, meta_step: Any, settings: dict[str, Any]
) -> None:
    config = ablated(tiny_config, **settings)
    config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step=meta_step))
    told: list[int] = []
    ablation.run_arms(config, policy, upper_agent, told.append)
    assert sum(told) == ablation.n_lower_steps(config, policy)


def test_a_mix_of_ones_own_is_one_more_arm(tiny_config: ExperimentConfig, policy: FusedLstmPolicy, upper_agent: TD3) -> None:
    arms = ablation.run_arms(ablated(tiny_config, fixed=[2.0, 1.0, 1.0], heuristics=False), policy, upper_agent)
    assert_allclose(arms["fixed_custom"].contexts, np.broadcast_to([0.5, 0.25, 0.25], (N_WINDOWS, N_SEEDS, 3)))
    assert list(arms) == list(STRATEGIES)


def test_an_ablation_is_reproduced_bit_by_bit(
    arms: Arms, tiny_config: ExperimentConfig, policy: FusedLstmPolicy, upper_agent: TD3
) -> None:
    again = ablation.run_arms(tiny_config, policy, upper_agent)
    for name, episodes in there(arms).items():
        assert_array_equal(again[name].objective, episodes.objective, err_msg=name)
        assert_array_equal(again[name].statistics["latency_p99_ms"], episodes.statistics["latency_p99_ms"], err_msg=name)


def test_another_training_seed_is_evaluated_on_other_arrivals(
    arms: Arms, tiny_config: ExperimentConfig, policy: FusedLstmPolicy, upper_agent: TD3
) -> None:
    other = ablation.run_arms(dataclasses.replace(tiny_config, seed=1), policy, upper_agent)
    rates = [one["fixed_equal"].statistics["arrival_rate_hz"] for one in (arms, other)]
    assert not np.array_equal(*rates)


# What a strategy is told in an episode.


class Watching:
    """Sets the equal mix and keeps what it was told and what is true."""

    def __init__(self, windows: Any) -> None:
        self._windows = windows
        self.told: list[Seen] = []
        self.true: list[np.ndarray] = []

    def __call__(self, seen: Seen) -> np.ndarray:
        self.told.append(Seen(*(part.copy() for part in seen)))
        self.true.append(self._windows.world.regime.copy())
        return np.full((len(seen.regime), 3), 1 / 3)


def test_strategies_are_told_the_regime_now_and_that_of_the_last_window(
    tiny_config: ExperimentConfig, policy: FusedLstmPolicy
) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", list(range(8)), 30)
    watching = Watching(windows)
    ablation.run_strategy(windows, watching, tiny_config, ablation.nothing)
    now = np.stack([seen.regime for seen in watching.told])
    assert len(now) == 30
    assert_array_equal(now, np.stack(watching.true))
    delayed = np.stack([seen.regime_of_window for seen in watching.told])
    unchanged = now[:-2] == now[1:-1]
    assert (delayed[0] == UNKNOWN_REGIME).all()
    assert (delayed[1:-1] == now[:-2])[unchanged].mean() > 0.8
    assert (delayed != now).any()


def test_before_the_first_window_measurements_know_nothing(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    windows = upper.windows(tiny_config, policy, "evaluate", [0, 1], 2)
    watching = Watching(windows)
    ablation.run_strategy(windows, watching, tiny_config, ablation.nothing)
    assert not watching.told[0].meta_observation[:, :-3].any()
    assert watching.told[1].meta_observation[:, :-3].any()
