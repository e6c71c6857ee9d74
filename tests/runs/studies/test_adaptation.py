"""How long agents take to another objective: what counts as having arrived, and in which steps it is counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierarchy.arms import flat
from hierarchy.lower import agent as lower
from runs.studies import adaptation
from runs.studies.study import Job


def test_the_goal_is_95_percent_of_the_way_to_where_it_ends() -> None:
    values = np.concatenate([np.linspace(-10.0, 0.0, 21), np.zeros(19)])
    reached = adaptation.first_kept(values)
    assert values[reached : reached + 3].mean() >= -0.5
    assert values[reached - 1 : reached + 2].mean() < -0.5


def test_one_lucky_look_is_not_having_arrived() -> None:
    values = np.concatenate([np.full(10, -10.0), [0.0], np.full(10, -10.0), np.zeros(20)])
    assert adaptation.first_kept(values) > 15


def test_reaching_the_goal_and_falling_back_is_not_keeping_it() -> None:
    values = np.concatenate([[0.0], np.full(3, 1.2), np.full(20, 0.2), np.full(16, 1.0)])
    assert adaptation.first_kept(values) == 24


def test_a_goal_that_is_not_kept_takes_all_steps() -> None:
    values = np.concatenate([[0.0], np.full(36, 1.0), [2.0, 0.0, 0.0]])
    assert adaptation.first_kept(values) == len(values) - 1


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
    lower.save(flat.build(tiny_config), folder / "flat.zip")
    prices = adaptation.CHANGES["prices"](tiny_config)
    found = adaptation.STUDY.run_job(Job("prices", prices, folder))
    for arm in found.values():
        assert len(arm["values"]) == len(arm["lower_steps"]) > 1
        assert arm["lower_steps"] == sorted(arm["lower_steps"])
        assert arm["steps_to_95"] in arm["lower_steps"]
        assert np.isfinite(arm["final"])
    assert (
        found["flat"]["lower_steps"][-1]
        <= flat.timesteps(tiny_config) + tiny_config.lower.n_envs * tiny_config.lower.n_steps
    )
