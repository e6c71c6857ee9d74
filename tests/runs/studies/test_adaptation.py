"""How long agents take to another objective: what counts as having arrived, and in which steps it is counted."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.load_balancing.objectives import Slo
from hierarchy.arms import flat
from hierarchy.storage import agents
from runs.studies import adaptation
from runs.studies.study import Job, balancing


def test_the_goal_is_95_percent_of_the_way_to_where_it_ends() -> None:
    values = np.concatenate([np.linspace(-10.0, 0.0, 21), np.zeros(19)])
    reached = adaptation.first_reached(values)
    assert values[reached : reached + 3].mean() >= -0.5
    assert values[reached - 1 : reached + 2].mean() < -0.5


def test_one_lucky_evaluation_is_not_having_arrived() -> None:
    values = np.concatenate([np.full(10, -10.0), [0.0], np.full(10, -10.0), np.zeros(20)])
    assert adaptation.first_reached(values) > 15


def test_the_goal_counts_from_when_it_is_first_reached() -> None:
    values = np.concatenate([[0.0], np.full(3, 1.2), np.full(20, 0.2), np.full(16, 1.0)])
    assert adaptation.first_reached(values) == 1


def test_an_agent_that_gains_nothing_takes_no_steps() -> None:
    assert adaptation.first_reached(np.linspace(0.0, -5.0, 30)) == 0


def test_changes_touch_what_is_wanted_and_nothing_that_the_lower_agent_observes(tiny_config: Any) -> None:
    for change in adaptation.CHANGES.values():
        changed = change(tiny_config)
        assert changed != tiny_config
        assert changed.lower == tiny_config.lower
        env = balancing(changed)
        assert env.pool.capacity.tolist() == tiny_config.env.pool.capacity.tolist()
        assert env.workload.regimes == tiny_config.env.workload.regimes


def test_a_latency_bound_is_what_is_wanted_of_the_same_world(tiny_config: Any) -> None:
    env = balancing(adaptation.CHANGES["slo"](tiny_config))
    assert env.objective == Slo(slo_ms=400.0)
    assert dataclasses.replace(env, objective=tiny_config.env.objective) == tiny_config.env


def test_a_fresh_upper_agent_gets_half_the_steps_and_a_tenth_of_the_random_start(tiny_config: Any) -> None:
    usual = dataclasses.replace(tiny_config.upper, meta_steps=8000, learning_starts=1600)
    assert adaptation.quick(dataclasses.replace(tiny_config, upper=usual)).upper == dataclasses.replace(
        usual, meta_steps=4000, learning_starts=160
    )


@pytest.mark.slow
def test_both_agents_adapt_and_are_counted_in_lower_steps(tiny_config: Any, trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "seed-0"
    shutil.copytree(trained.out, folder)
    agents.save(flat.build(tiny_config), folder / "flat.zip", tiny_config)
    prices = adaptation.CHANGES["prices"](tiny_config)
    found = adaptation.STUDY.run_job(Job("prices", prices, folder))
    assert list(found) == ["learned", "flat"]
    for arm in found.values():
        assert len(arm["values"]) == len(arm["lower_steps"]) > 1
        assert arm["lower_steps"] == sorted(arm["lower_steps"])
        assert arm["steps_to_95"] in arm["lower_steps"]
        assert np.isfinite(arm["final"])
    assert (
        found["flat"]["lower_steps"][-1]
        <= flat.timesteps(tiny_config) + tiny_config.lower.n_envs * tiny_config.lower.n_steps
    )
