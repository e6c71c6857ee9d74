"""Agent and rules meet on the same seeds, and ratios say what the figures say."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.load_balancing.stories import SCENARIOS
from hierarchy.building.lower import build
from hierarchy.phases.checks import check_experiment
from runs.settings.experiment import preset_config
from runs.studies import scenarios
from runs.studies.recorded import Latencies
from runs.studies.study import Job, StudyOptions
from tests.runs.studies.keeping import comes_back


@pytest.mark.slow
def test_a_scenario_meets_agent_and_rules_on_the_same_seeds(tiny_config: Any, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, env=SCENARIOS["steady_unequal"])
    found = scenarios.STUDY.run_job(Job("steady_unequal", config, Path()))
    assert comes_back(scenarios.STUDY, found, tmp_path)
    on_recording = {**found, "latencies": {"agent": Latencies(np.ones(2), np.ones((2, 3)))}}
    assert comes_back(scenarios.STUDY, on_recording, tmp_path)
    assert found["best_rule"] in found["rules"]
    assert 0 <= found["kept_at"] <= config.lower.timesteps
    assert found["agent"] == found["trained" if found["kept_at"] else "untrained"]
    assert found["latencies"]["agent"] is None, "there is no recording"
    summary = scenarios.summary([found, found])
    ratio = found["agent"]["latency_mean_ms"] / found["rules"]["sed"]["latency_mean_ms"]
    assert summary["to_nominal_sed"]["latency_mean_ms"]["mean"] == pytest.approx(ratio)
    assert summary["to_nominal_sed"]["latency_mean_ms"]["per_seed"] == pytest.approx([ratio, ratio])


def test_the_table_says_when_the_kept_agent_was_taken_and_what_the_untrained_one_does() -> None:
    def of(mean_ms: float) -> dict[str, float]:
        return dict.fromkeys(scenarios.METRICS, mean_ms)

    found = {
        "agent": of(80.0),
        "untrained": of(90.0),
        "trained": of(70.0),
        "rules": {"sed": of(100.0)},
        "best_rule": "sed",
        "latencies": {"agent": None, "sed": None},
    }
    summary = scenarios.summary([{**found, "kept_at": kept_at} for kept_at in (2_000, 40_000)])
    heads, row = scenarios.STUDY.sections({"drift": summary})[0].rows
    shown = dict(zip(heads, row, strict=True))
    assert (shown["kept at"], shown["mean (ms)"]) == ("2,000, 40,000", "80.0")
    assert (shown["untrained (ms)"], shown["trained (ms)"]) == ("90.0", "70.0")
    assert shown["mean, to SED"].startswith("0.800 ")


def test_the_state_that_is_taken_is_of_a_trained_agent_however_good_the_untrained_one(
    tiny_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures that get worse with every evaluation."""
    latency_ms = itertools.count(1.0)
    monkeypatch.setattr(scenarios, "agent", lambda *_: next(latency_ms))
    monkeypatch.setattr(scenarios, "figures", lambda ms: dict.fromkeys(scenarios.METRICS, ms))
    config = dataclasses.replace(tiny_config, env=SCENARIOS["steady_unequal"])
    _, losses, kept_at = scenarios.trained(config, dict.fromkeys(scenarios.METRICS, 1.0))
    assert losses == sorted(losses)
    assert kept_at > 0


def test_a_recording_is_one_more_scenario(tiny_config: Any, traces: dict[str, Path]) -> None:
    jobs = scenarios.STUDY.jobs(tiny_config, Path(), StudyOptions(seeds=2, traces=(traces["marllb"],)))
    assert {job.variant for job in jobs} == {*SCENARIOS, traces["marllb"].stem}
    assert sorted({job.config.seed for job in jobs}) == [tiny_config.seed, tiny_config.seed + 1]


def test_untrained_agents_of_scenarios_set_the_nominal_weights() -> None:
    """So who gains nothing by training is shortest expected delay."""
    for job in scenarios.STUDY.jobs(preset_config("scratch"), Path(), StudyOptions(seeds=1)):
        world = envs.make(job.config.env, 8, job.config.seed)
        world.reset()
        actor = build(job.config).actor.start(8)
        for _ in range(3):
            action = actor.act(world.observe())
            assert_array_equal(action, np.tile(world.world.nominal_action, (8, 1)))
            world.step(action)


def test_agents_of_scenarios_can_be_trained_in_all_of_them() -> None:
    jobs = scenarios.STUDY.jobs(preset_config("scratch"), Path(), StudyOptions(seeds=1))
    assert {job.variant for job in jobs} == set(SCENARIOS)
    for job in jobs:
        check_experiment(job.config)


@pytest.mark.parametrize("worse", [False, True])
def test_it_is_deployed_only_if_better_on_selection_seeds_that_it_was_not_chosen_on(
    tiny_config: Any, monkeypatch: pytest.MonkeyPatch, worse: bool
) -> None:
    asked: list[tuple[str, bool]] = []

    def met(config: Any, lower: str, role: str, again: bool = False) -> float:
        asked.append((role, again))
        return {"trained": 2.0 if worse and again else 1.0, "untrained": 1.5}[lower]

    monkeypatch.setattr(scenarios, "agent", met)
    monkeypatch.setattr(scenarios, "figures", lambda ms: dict.fromkeys(scenarios.METRICS, ms))
    assert scenarios.gains(tiny_config, "trained", "untrained") != worse  # type: ignore[arg-type]
    assert asked == [("select", True)] * 2
    batches = [set(scenarios.batch_of(tiny_config, "select", again).env_ids) for again in (False, True)]
    assert not batches[0] & batches[1]
