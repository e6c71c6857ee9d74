"""All arms run on the same evaluation seeds, after mixes were chosen on others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hierarchy.arms.episodes import Episodes, nothing
from hierarchy.arms.strategies import STRATEGIES
from hierarchy.objectives import objective
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.simplex import simplex_grid
from envs.load_balancing.rules import HEURISTICS
from hierarchy.arms import ablation
from hierarchy.arms.ablation import BEST_CONSTANT, FLAT, Agents
from hierarchy.arms.selection import Selection, n_trials
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import TrainedActor
from hierarchy.sb3 import SB3Learner

N_SEEDS, N_WINDOWS = 3, 4  # of the tiny settings
Arms = dict[str, Episodes | None]


@pytest.fixture(scope="module")
def steps_told() -> list[int]:
    """Lower steps that the ablation of `arms` told of."""
    return []


@pytest.fixture(scope="module")
def agents(policy: TrainedActor, upper_agent: SB3Learner) -> Agents:
    """The lower policy stands for the flat one, too."""
    return Agents(policy, upper_agent.actor, flat=policy)


def run(config: ExperimentConfig, agents: Agents, progress: Callable[[int], Any] = nothing) -> Arms:
    """Mixes chosen, then every arm."""
    return ablation.run_arms(config, agents, ablation.sources(config, agents, progress), progress)


@pytest.fixture(scope="module")
def arms(tiny_config: ExperimentConfig, agents: Agents, steps_told: list[int]) -> Arms:
    return run(tiny_config, dataclasses.replace(agents, flat=None), steps_told.append)


def ablated(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **settings))


def there(arms: Arms) -> dict[str, Episodes]:
    return {name: episodes for name, episodes in arms.items() if episodes is not None}


def test_every_strategy_and_every_heuristic_is_an_arm(arms: Arms) -> None:
    assert list(arms) == [*STRATEGIES, FLAT, BEST_CONSTANT, *HEURISTICS]
    assert len(HEURISTICS) == 9
    assert {name for name, episodes in arms.items() if episodes is None} == {
        "fixed_custom",
        "tuned_static",
        FLAT,
        BEST_CONSTANT,
    }


def test_all_arms_see_the_same_requests(arms: Arms) -> None:
    expected = arms["learned"].statistics["arrival_rate_hz"]
    assert len(np.unique(expected)) == N_SEEDS
    for name, episodes in there(arms).items():
        assert_array_equal(episodes.statistics["arrival_rate_hz"], expected, err_msg=name)
        assert_array_equal(episodes.statistics["interactive_share"], arms["learned"].statistics["interactive_share"])


def test_all_arms_run_whole_episodes(arms: Arms, tiny_config: ExperimentConfig) -> None:
    hours = N_WINDOWS * tiny_config.upper.meta_period * tiny_config.env.dt_s / 3600
    world = envs.make(tiny_config.env, 1).reports
    for name, episodes in there(arms).items():
        assert_allclose(episodes.statistics["duration_h"], hours, err_msg=name)
        assert_allclose(episodes.objective, objective(episodes.statistics, tiny_config.upper, world), err_msg=name)
        assert episodes.objective.shape == (N_SEEDS,)


def test_profit_of_an_episode_is_the_mean_over_its_windows(arms: Arms) -> None:
    for name, episodes in there(arms).items():
        assert episodes.window_objective.shape == (N_WINDOWS, N_SEEDS)
        assert_allclose(episodes.window_objective.mean(0), episodes.objective, rtol=1e-6, atol=1e-9, err_msg=name)


def test_every_request_is_paid_for_one_way_or_the_other(arms: Arms, tiny_config: ExperimentConfig) -> None:
    """Value equals penalty in the tiny classes, and the episodes of all arms are settled."""
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


def test_fixed_best_plays_what_selection_found(arms: Arms, tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    best, _ = Selection(tiny_config, policy).fixed(simplex_grid(3, tiny_config.ablation.grid_points), 2)
    assert_array_equal(arms["fixed_best"].contexts, np.broadcast_to(best, (N_WINDOWS, N_SEEDS, 3)))


def test_progress_adds_up_to_what_was_announced(
    arms: Arms, steps_told: list[int], tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    assert sum(steps_told) == ablation.n_lower_steps(tiny_config, policy)
    assert there(arms)


@pytest.mark.parametrize(
    ("meta_step", "settings"),
    [
        ("window", {"fixed": [2.0, 1.0, 1.0]}),
        ("window", {"heuristics": False, "grid_points": 4, "table_points": 3}),
        ("window", {"heuristics": False, "tuned_static": True, "flat": True}),
        ("episode", {}),
        ("episode", {"heuristics": False, "tuned_static": True, "flat": True}),
    ],
    ids=["fixed", "no_heuristics", "tuned_and_flat", "episode", "episode_tuned_and_flat"],
)
def test_progress_adds_up_whatever_is_run(
    tiny_config: ExperimentConfig, agents: Agents, meta_step: Any, settings: dict[str, Any]
) -> None:
    config = ablated(tiny_config, **settings)
    config = dataclasses.replace(config, upper=dataclasses.replace(config.upper, meta_step=meta_step, meta_steps=40))
    assert n_trials(config) > 1
    told: list[int] = []
    run(config, agents if config.ablation.flat else dataclasses.replace(agents, flat=None), told.append)
    assert sum(told) == ablation.n_lower_steps(config, agents.lower)


def test_a_mix_of_ones_own_is_one_more_arm(tiny_config: ExperimentConfig, agents: Agents) -> None:
    arms = run(ablated(tiny_config, fixed=[2.0, 1.0, 1.0], heuristics=False), agents)
    assert_allclose(arms["fixed_custom"].contexts, np.broadcast_to([0.5, 0.25, 0.25], (N_WINDOWS, N_SEEDS, 3)))
    assert list(arms) == [*STRATEGIES, FLAT, BEST_CONSTANT]


def test_a_flat_agent_has_no_say_over_its_context_and_keeps_none(
    arms: Arms, tiny_config: ExperimentConfig, agents: Agents
) -> None:
    found = run(ablated(tiny_config, heuristics=False), agents)[FLAT]
    assert found.contexts is None
    assert_array_equal(found.objective, arms["fixed_equal"].objective)


def test_mixes_that_were_chosen_before_are_played(tiny_config: ExperimentConfig, agents: Agents) -> None:
    config = ablated(tiny_config, heuristics=False)
    fixed, tuned = np.array([0.2, 0.3, 0.5]), np.array([0.1, 0.8, 0.1])
    chosen = dataclasses.replace(ablation.sources(config, agents), fixed_best=fixed, tuned_static=tuned)
    told: list[int] = []
    arms = ablation.run_arms(config, agents, chosen, told.append)
    for name, mix in (("fixed_best", fixed), ("tuned_static", tuned)):
        assert_array_equal(arms[name].contexts, np.broadcast_to(mix, (N_WINDOWS, N_SEEDS, 3)))
    n_steps = N_WINDOWS * config.upper.meta_period * N_SEEDS
    assert sum(told) == len(there(arms)) * n_steps, "nothing is chosen again"


def test_an_ablation_is_reproduced_bit_by_bit(arms: Arms, tiny_config: ExperimentConfig, agents: Agents) -> None:
    again = run(tiny_config, agents)
    for name, episodes in there(arms).items():
        assert_array_equal(again[name].objective, episodes.objective, err_msg=name)
        assert_array_equal(again[name].statistics["latency_p99_ms"], episodes.statistics["latency_p99_ms"], err_msg=name)


def test_another_training_seed_is_evaluated_on_other_arrivals(
    arms: Arms, tiny_config: ExperimentConfig, agents: Agents
) -> None:
    other = run(dataclasses.replace(tiny_config, seed=1), agents)
    rates = [one["fixed_equal"].statistics["arrival_rate_hz"] for one in (arms, other)]
    assert not np.array_equal(*rates)
