"""Studies say what they claim to say: steps to 95 %, the best state kept, volumes, the same arms in held-out worlds."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from envs import LoadBalancingConfig
from envs.load_balancing.stories import HELD_OUT
from hierarchy.arms import flat
from hierarchy.building import lower
from hierarchy.evaluation import evaluate_seed
from hierarchy.evidence import results
from runs.settings import parse
from runs.studies import adaptation, front, held_out, scenarios, transfer

# How long an agent takes to adapt.


def test_the_goal_is_95_percent_of_the_way_to_where_it_ends() -> None:
    values = np.concatenate([np.linspace(-10.0, 0.0, 21), np.zeros(19)])
    reached = adaptation.first_kept(values)
    assert values[reached : reached + 3].mean() >= -0.5
    assert values[reached - 1 : reached + 2].mean() < -0.5


def test_one_lucky_look_is_not_having_arrived() -> None:
    values = np.concatenate([np.full(10, -10.0), [0.0], np.full(10, -10.0), np.zeros(20)])
    assert adaptation.first_kept(values) > 15


def test_an_agent_that_gains_nothing_takes_no_steps() -> None:
    assert adaptation.first_kept(np.linspace(0.0, -5.0, 30)) == 0


def test_changes_touch_what_is_wanted_and_nothing_that_the_lower_agent_sees(tiny_config: Any) -> None:
    for change in adaptation.CHANGES.values():
        changed = change(tiny_config)
        assert changed != tiny_config
        assert changed.lower == tiny_config.lower
        assert changed.env.pool.capacity.tolist() == tiny_config.env.pool.capacity.tolist()
        assert changed.env.workload.regimes == tiny_config.env.workload.regimes


@pytest.mark.slow
def test_both_agents_adapt_and_are_counted_in_lower_steps(tiny_config: Any, trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "seed-0"
    shutil.copytree(trained.out, folder)
    flat.build(tiny_config).save(folder / "flat.zip")
    _, seed, found = adaptation.run_seed("prices", tiny_config, folder)
    assert seed == tiny_config.seed
    for arm in found.values():
        assert len(arm["values"]) == len(arm["lower_steps"]) > 1
        assert arm["lower_steps"] == sorted(arm["lower_steps"])
        assert arm["steps_to_95"] in arm["lower_steps"]
        assert np.isfinite(arm["final"])
    assert (
        found["flat"]["lower_steps"][-1]
        <= flat.timesteps(tiny_config) + tiny_config.lower.n_envs * tiny_config.lower.n_steps
    )


# Scenarios.


def test_the_best_state_of_training_is_kept(tiny_config: Any) -> None:
    agent = lower.build(tiny_config)
    losses = iter([3.0, 1.0, 2.0, 4.0, *[5.0] * 1000])
    states: list[Any] = []

    def look() -> float:
        states.append({name: value.clone() for name, value in agent.agent.policy.state_dict().items()})
        return next(losses)

    keeping = scenarios.KeepBest(agent, look, tiny_config.lower.n_envs * tiny_config.lower.n_steps)
    keeping.take()
    agent.learn(4 * tiny_config.lower.n_envs * tiny_config.lower.n_steps, keeping)
    assert len(states) > 2
    for name, value in keeping.best.items():
        assert_allclose(value, states[1][name])


@pytest.mark.slow
def test_a_scenario_meets_agent_and_rules_on_the_same_seeds(tiny_config: Any) -> None:
    config = dataclasses.replace(tiny_config, env=scenarios.SCENARIOS["steady_unequal"])
    name, seed, found = scenarios.run_scenario("steady_unequal", config)
    assert (name, seed) == ("steady_unequal", config.seed)
    assert found["best_rule"] in found["rules"]
    summary = scenarios.summary([found, found])
    ratio = found["agent"]["latency_mean_ms"] / found["rules"]["sed"]["latency_mean_ms"]
    assert summary["to_nominal_sed"]["latency_mean_ms"]["mean"] == pytest.approx(ratio)
    assert summary["to_nominal_sed"]["latency_mean_ms"]["per_seed"] == pytest.approx([ratio, ratio])


# The front.


def test_the_hypervolume_of_one_point_is_its_box() -> None:
    point = front.REFERENCE * np.array([[0.5, 0.25, 0.0]])
    assert front.hypervolume(point) == pytest.approx(0.5 * 0.75 * 1.0)


def test_a_beaten_point_adds_nothing() -> None:
    point = front.REFERENCE * np.array([[0.5, 0.25, 0.1]])
    both = np.concatenate([point, point * 1.1])
    assert front.hypervolume(both) == pytest.approx(front.hypervolume(point))


# Held-out worlds.


@pytest.mark.slow
def test_held_out_worlds_meet_the_same_arms_and_mixes(tiny_config: Any, trained: Any) -> None:
    worlds = held_out.worlds(tiny_config.env, None)
    assert list(worlds) == [name for name in HELD_OUT if name != "other_pool"], "two servers, not four"
    config = dataclasses.replace(tiny_config, env=worlds["short_dwell"])
    found = evaluate_seed(config, trained.out, "short_dwell")
    mixes = json.loads((trained.out / "mixes.json").read_text())
    best = found["arms"]["fixed_best"]
    assert best is not None
    assert best["context"] is not None
    assert list(best["context"].values()) == pytest.approx(mixes["fixed_best"], abs=1e-3)
    assert {name for name, arm in found["arms"].items() if arm} >= {"learned", "fixed_best", "regime_oracle"}


def test_the_same_world_again_gives_the_same_results(tiny_config: Any, trained: Any) -> None:
    found = evaluate_seed(tiny_config, trained.out, "again")
    for name in ("learned", "fixed_best", "delayed_oracle"):
        again, before = found["arms"][name], trained.results["arms"][name]
        assert again is not None
        assert again["objective"]["per_seed"] == pytest.approx(before["objective"]["per_seed"]), name
    assert found["comparisons"].keys() <= trained.results["comparisons"].keys()
    assert results.markdown(found).count("\n") > 5


# Pools of other sizes.


def test_pools_of_other_sizes_take_the_servers_in_turn() -> None:
    env = parse("train", "", ["--preset", "transfer"])[1].env
    assert isinstance(env, LoadBalancingConfig)
    six = transfer.of_size(env, 6).pool
    assert (six.n_servers, six.speed) == (6, [*env.pool.speed, *env.pool.speed[:2]])
    assert transfer.with_absent(env, 12).randomise.n_servers == [4, 12]
    assert transfer.of_size(env, 4) == env


@pytest.mark.slow
def test_agents_of_either_size_meet_in_the_same_worlds(tmp_path: Path) -> None:
    options = ["--lower.timesteps", "512", "--lower.n_envs", "4", "--lower.batch_size", "64", "--lower.hidden_size", "8"]
    small = ["--upper.meta_period", "5", "--ablation.n_seeds", "2", "--ablation.episode_windows", "4"]
    _, config = parse("train", "", ["--preset", "transfer", *options, *small])
    found = transfer.run(config, tmp_path, 1)
    assert list(found) == ["6 servers", "4 to 12 of 12 servers"]
    for table in found.values():
        latencies = table["latency_mean_ms"]
        assert table["trained_on_4_to_6"]["mean"] == latencies["trained_on_4"][0] / latencies["trained_on_6"][0]
        assert table["trained_on_4_to_sed"]["mean"] == latencies["trained_on_4"][0] / latencies["sed"][0]
    assert transfer.run(config, tmp_path, 1) == found, "agents that are there are not trained again"
