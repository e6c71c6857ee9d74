"""All arms run on the same evaluation seeds, after mixes were chosen on others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.spec import WorldSpec
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms import ARMS, Agents, Arm, Found, Start, ablation, arms_of
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.jobs import nothing
from hierarchy.arms.mix_race import n_race_steps
from hierarchy.arms.selection import Selection
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import Facts
from hierarchy.evidence.episodes import Episodes
from hierarchy.executors.inline import Inline
from hierarchy.pair import Held, Pair
from hierarchy.protocols import TrainedActor
from hierarchy.sb3.learner import SB3Learner
from tests.hierarchy.arms.toys import known

RULES = envs.rules(LoadBalancingConfig())
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
    return Ablation(config, agents, Inline(), progress).run()


@pytest.fixture(scope="module")
def arms(tiny_config: ExperimentConfig, agents: Agents, steps_told: list[int]) -> Arms:
    return run(tiny_config, dataclasses.replace(agents, flat=None), steps_told.append)


def ablated(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **settings))


def mixes(mix: Mapping[str, float], terms: Sequence[str]) -> np.ndarray:
    """A mix held in all windows of all seeds."""
    return np.broadcast_to([mix[term] for term in terms], (N_WINDOWS, N_SEEDS, 3))


def there(arms: Arms) -> dict[str, Episodes]:
    return {name: episodes for name, episodes in arms.items() if episodes is not None}


def test_every_entry_and_every_rule_of_the_world_is_an_arm(arms: Arms) -> None:
    assert list(arms) == [*ARMS, "gated", *RULES]
    assert {name for name, rule in RULES.items() if rule.has_numbers} <= there(arms).keys()
    assert {name for name, episodes in arms.items() if episodes is None} == {
        "fixed_custom",
        "tuned_static",
        "flat",
        "best_constant",
    }


def test_oracles_and_hindsight_must_be_asked_for(arms: Arms, tiny_config: ExperimentConfig) -> None:
    config = ablated(tiny_config, oracles=False)
    wanted = ablation.wanted_arms(config, envs.describe(config.env))
    assert there(arms).keys() - wanted.keys() == {"regime_oracle", "delayed_oracle", "fixed_hindsight"}
    assert "scan" not in {found.name for found in ablation.all_needs(wanted)}


def test_no_mix_of_the_grid_is_above_hindsight(arms: Arms, tiny_config: ExperimentConfig, agents: Agents) -> None:
    best = arms["fixed_hindsight"].objective.mean()
    for fixed in np.eye(3).tolist():
        arm = {"fixed_custom": ARMS["fixed_custom"]}
        config = ablated(tiny_config, fixed=fixed)
        [own] = there(Ablation(config, agents, Inline()).play(arm, {})).values()
        assert own.objective.mean() <= best + 1e-9


def test_all_arms_see_the_same_requests(arms: Arms) -> None:
    expected = arms["learned"].statistics["arrival_rate_hz"]
    assert len(np.unique(expected)) == N_SEEDS
    for name, episodes in there(arms).items():
        assert_array_equal(episodes.statistics["arrival_rate_hz"], expected, err_msg=name)
        assert_array_equal(episodes.statistics["interactive_share"], arms["learned"].statistics["interactive_share"])


def test_all_arms_run_whole_episodes(arms: Arms, tiny_config: ExperimentConfig) -> None:
    hours = N_WINDOWS * tiny_config.upper.meta_period * tiny_config.env.dt_s / 3600
    objective = tiny_config.env.objective
    for name, episodes in there(arms).items():
        assert_allclose(episodes.statistics["duration_h"], hours, err_msg=name)
        assert_allclose(episodes.objective, objective(episodes.statistics), err_msg=name)
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
    for name in ARMS:
        if arms[name] is not None:
            assert arms[name].contexts.shape == (N_WINDOWS, N_SEEDS, 3)
            assert_allclose(arms[name].contexts.sum(-1), 1.0, err_msg=name)
    assert all(arms[name].contexts is None for name in RULES)
    assert_allclose(arms["fixed_equal"].contexts, 1 / 3)
    assert len(np.unique(arms["random"].contexts[..., 0])) == N_WINDOWS * N_SEEDS


def test_arms_play_what_was_found(tiny_config: ExperimentConfig, agents: Agents) -> None:
    found: dict[str, Any] = {}
    arms = Ablation(ablated(tiny_config, heuristics=False), agents, Inline()).run(found.update)
    assert found.keys() == {"fixed_best", "table", "tree"}
    terms = envs.describe(tiny_config.env).terms
    assert_array_equal(arms["fixed_best"].contexts, mixes(found["fixed_best"].numbers, terms))
    assert_array_equal(arms["regime_oracle"].contexts, found["table"][arms["regime_oracle"].regimes])


def test_progress_adds_up_to_what_was_announced(arms: Arms, steps_told: list[int], tiny_config: ExperimentConfig) -> None:
    assert sum(steps_told) == ablation.n_lower_steps(tiny_config)
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
    told: list[int] = []
    run(config, agents if config.ablation.flat else dataclasses.replace(agents, flat=None), told.append)
    assert sum(told) == ablation.n_lower_steps(config)


def test_a_choice_that_was_clear_early_counts_as_done_in_the_end(
    tiny_config: ExperimentConfig, agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierarchy.arms.mix_race.is_clear", lambda scores: True)
    config = ablated(tiny_config, heuristics=False)
    told: list[int] = []
    found: dict[str, Any] = {}
    Ablation(config, agents, Inline(), told.append).run(found.update)
    assert sum(told) == ablation.n_lower_steps(config)
    assert found["fixed_best"].n_lower_steps < n_race_steps(config, envs.describe(config.env))
    assert min(told) > 0


def test_a_mix_of_ones_own_is_one_more_arm(tiny_config: ExperimentConfig, agents: Agents) -> None:
    arms = run(ablated(tiny_config, fixed=[2.0, 1.0, 1.0], heuristics=False), agents)
    assert_allclose(arms["fixed_custom"].contexts, np.broadcast_to([0.5, 0.25, 0.25], (N_WINDOWS, N_SEEDS, 3)))
    assert list(arms) == list(arms_of(tiny_config.env))


def test_a_flat_agent_has_no_say_over_its_context_and_keeps_none(
    arms: Arms, tiny_config: ExperimentConfig, agents: Agents
) -> None:
    found = run(ablated(tiny_config, heuristics=False, flat=True), agents)["flat"]
    assert found.contexts is None
    assert_array_equal(found.objective, arms["fixed_equal"].objective)


def test_what_was_found_before_is_played(tiny_config: ExperimentConfig, agents: Agents) -> None:
    config = ablated(tiny_config, heuristics=False)
    terms = envs.describe(config.env).terms
    found = {"fixed_best": known(terms, [0.2, 0.3, 0.5]), "tuned_static": known(terms, [0.1, 0.8, 0.1])}
    told: list[int] = []
    played = {name: ARMS[name] for name in ("fixed_best", "tuned_static", "random")}
    arms = Ablation(config, agents, Inline(), told.append).play(played, found)
    assert there(arms).keys() == played.keys()
    for name, mix in found.items():
        assert_array_equal(arms[name].contexts, mixes(mix.numbers, terms))
    assert sum(told) == len(played) * N_WINDOWS * config.upper.meta_period * N_SEEDS, "nothing is chosen again"


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


# A new arm.


def find_corner(selection: Selection, found: Mapping[str, Any]) -> np.ndarray:
    """The best corner."""
    corners = np.eye(selection.spec.n_terms)
    return corners[selection.scores(Held, corners).best]


def n_corner_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    return spec.n_terms * Selection.steps_per_candidate(config)


CORNER = Found("corner", find_corner, n_corner_steps)


def start_corner(start: Start) -> Pair:
    return start.pair(Held(start.found["corner"]))


def test_an_arm_with_something_found_is_one_entry(
    monkeypatch: pytest.MonkeyPatch, tiny_config: ExperimentConfig, agents: Agents
) -> None:
    config = ablated(tiny_config, heuristics=False)
    before = ablation.n_lower_steps(config)
    monkeypatch.setitem(ARMS, "best_corner", Arm("mix", start_corner, needs=(CORNER,)))
    told: list[int] = []
    found: dict[str, Any] = {}
    arms = Ablation(config, agents, Inline(), told.append).run(found.update)
    assert sum(told) == ablation.n_lower_steps(config)
    n_more = 3 * Selection.steps_per_candidate(config) + N_SEEDS * N_WINDOWS * config.upper.meta_period
    assert ablation.n_lower_steps(config) == before + n_more
    assert found["corner"].max() == 1.0
    assert_array_equal(arms["best_corner"].contexts, np.broadcast_to(found["corner"], (N_WINDOWS, N_SEEDS, 3)))
    assert ablation.to_json(config, found)["corner"] == found["corner"].tolist()
    assert ablation.facts_of(config)["best_corner"] == Facts("mix")
