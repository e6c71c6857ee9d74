"""How long agents take to another objective: what counts as having arrived, and in which steps it is counted."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.load_balancing.objectives import Slo
from hierarchy.arms import flat, gated
from hierarchy.arms.running import Batch, play
from hierarchy.storage import agents
from runs.studies import adaptation
from runs.studies.study import Job
from tests.hierarchy.conftest import large_policy
from tests.hierarchy.episodes import result_of
from tests.runs.studies.keeping import comes_back


def above(values: np.ndarray, *others: np.ndarray) -> int | None:
    return adaptation.stays_above(values, adaptation.target_of([values, *others]))


def test_the_target_is_95_percent_of_the_way_to_where_it_ends() -> None:
    values = np.concatenate([np.linspace(-10.0, 0.0, 21), np.zeros(19)])
    reached = above(values)
    assert reached is not None
    assert values[reached - 2 : reached + 1].mean() >= -0.5
    assert values[reached - 3 : reached].mean() < -0.5


def test_one_lucky_evaluation_is_not_having_arrived() -> None:
    values = np.concatenate([np.full(10, -10.0), [0.0], np.full(10, -10.0), np.zeros(20)])
    reached = above(values)
    assert reached is not None
    assert reached > 15


def test_the_last_crossing_counts() -> None:
    values = np.concatenate([[0.0], np.full(3, 1.2), np.full(20, 0.2), np.full(16, 1.0)])
    assert above(values) == 26, "the third that is above"


def test_one_unlucky_evaluation_at_the_end_is_not_having_fallen_back() -> None:
    values = np.concatenate([np.linspace(0.0, 10.0, 11), np.full(28, 10.0), [9.0]])
    assert above(values) == 11


def test_both_arms_are_held_against_one_target_and_may_never_get_there() -> None:
    high, low = np.linspace(0.0, 10.0, 40), np.concatenate([np.linspace(0.0, 5.0, 20), np.full(20, 5.0)])
    assert above(high, low) is not None
    assert above(low, high) is None
    assert above(low) is not None, "by itself it would have arrived"


def one_seed(learned: list[float], flat_values: list[float]) -> dict[str, Any]:
    curves = {"learned": learned, "flat": flat_values}
    steps = [10.0 * i for i in range(len(learned))]
    return {
        name: {"lower_steps": steps, "seconds": steps, "values": values, "final": result_of([1.0])}
        for name, values in curves.items()
    }


def test_a_ratio_of_steps_is_told_only_where_both_got_there_with_every_seed() -> None:
    there = one_seed([0.0, *[1.0] * 15], [*[0.0] * 7, *[1.0] * 9])
    never = one_seed([0.0, *[1.0] * 15], [0.0, *[0.5] * 15])
    both = adaptation.summary([there, there])
    assert both["share_of_flat_steps"] == pytest.approx(1 / 3)
    mixed = adaptation.summary([there, never])
    assert mixed["share_of_flat_steps"] is None
    assert (mixed["arms"]["flat"]["n_reached"], mixed["arms"]["flat"]["n"]) == (1, 2)
    rows = adaptation.STUDY.sections({"prices": adaptation.summary([never])})[0].rows
    assert rows[2][2:5] == ["0 of 1", "never", "never"]


def test_final_figures_on_a_recording_vary_with_its_blocks() -> None:
    """Five training seeds that do alike say no more than one: in two blocks the gain is 1 and 3."""
    seed = one_seed([0.0, 1.0], [0.0, 1.0])
    finals = {"learned": result_of([2.0, 5.0], counts=[4.0, 4.0]), "flat": result_of([1.0, 2.0], counts=[4.0, 4.0])}
    of_seed = {arm: {**seed[arm], "final": final} for arm, final in finals.items()}
    compared = adaptation.summary([of_seed] * 5)["learned_minus_flat"]
    assert compared["difference"] == 2.0
    assert compared["ci95"][1] - 2.0 == pytest.approx(12.706, rel=1e-3)


def test_changes_touch_what_is_wanted_and_nothing_that_the_lower_agent_observes(tiny_config: Any) -> None:
    for change in adaptation.CHANGES.values():
        env = change(tiny_config.env)
        assert env != tiny_config.env
        assert env.pool.capacity.tolist() == tiny_config.env.pool.capacity.tolist()
        assert env.workload.regimes == tiny_config.env.workload.regimes


def test_a_latency_bound_is_what_is_wanted_of_the_same_world(tiny_config: Any) -> None:
    env = adaptation.CHANGES["slo"](tiny_config.env)
    assert env.objective == Slo(slo_ms=400.0)
    assert dataclasses.replace(env, objective=tiny_config.env.objective) == tiny_config.env


def test_a_fresh_upper_agent_gets_half_the_steps_and_a_tenth_of_the_random_start(tiny_config: Any) -> None:
    usual = dataclasses.replace(tiny_config.upper, meta_steps=8000, learning_starts=1600)
    assert adaptation.quick(dataclasses.replace(tiny_config, upper=usual)).upper == dataclasses.replace(
        usual, meta_steps=4000, learning_starts=160, candidates=1
    )


def test_agents_are_watched_on_seeds_that_nobody_began_with(tiny_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The race that a fresh upper agent begins with meets the first of them, and the gate comes after."""
    asked: list[Batch] = []

    def noted(config: Any, agents: Any, found: Any, start: Any, batch: Batch) -> Any:
        asked.append(batch)
        return play(config, agents, found, start, batch)

    monkeypatch.setattr(adaptation, "play", noted)
    adaptation.adapt_upper(tiny_config, large_policy(tiny_config))
    watched = [batch for batch in asked if batch.role == "select"]
    assert watched
    met = {*range(tiny_config.ablation.n_select_seeds), *gated.seeds_of(tiny_config)}
    assert not any(met & set(batch.env_ids) for batch in watched)


@pytest.mark.slow
def test_both_agents_adapt_and_are_counted_in_lower_steps(tiny_config: Any, trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "seed-0"
    shutil.copytree(trained.out, folder)
    agents.save(flat.build(tiny_config), folder / "flat.safetensors", tiny_config)
    prices = dataclasses.replace(tiny_config, env=adaptation.CHANGES["prices"](tiny_config.env))
    found = adaptation.STUDY.run_job(Job("prices", prices, folder))
    assert comes_back(adaptation.STUDY, found, tmp_path)
    assert list(found) == ["learned", "flat"]
    for arm in found.values():
        assert len(arm["values"]) == len(arm["lower_steps"]) > 1
        assert arm["lower_steps"] == sorted(arm["lower_steps"])
        assert np.isfinite(arm["final"]["objective"]["mean"])
    alone = dataclasses.replace(tiny_config, upper=dataclasses.replace(tiny_config.upper, candidates=1))
    n_steps = flat.timesteps(alone)
    assert n_steps <= found["flat"]["lower_steps"][-1] <= n_steps + tiny_config.lower.n_envs * tiny_config.lower.n_steps
