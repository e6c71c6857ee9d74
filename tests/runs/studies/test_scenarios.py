"""Agent and rules meet on the same seeds, and ratios say what the figures say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from envs.load_balancing.stories import SCENARIOS
from runs.studies import scenarios
from runs.studies.study import Job, StudyOptions


@pytest.mark.slow
def test_a_scenario_meets_agent_and_rules_on_the_same_seeds(tiny_config: Any) -> None:
    config = dataclasses.replace(tiny_config, env=SCENARIOS["steady_unequal"])
    found = scenarios.STUDY.run_job(Job("steady_unequal", config, Path()))
    assert found["best_rule"] in found["rules"]
    assert 0 < found["kept_at"] <= config.lower.timesteps
    assert found["untrained"].keys() == found["agent"].keys()
    summary = scenarios.summary([found, found])
    ratio = found["agent"]["latency_mean_ms"] / found["rules"]["sed"]["latency_mean_ms"]
    assert summary["to_nominal_sed"]["latency_mean_ms"]["mean"] == pytest.approx(ratio)
    assert summary["to_nominal_sed"]["latency_mean_ms"]["per_seed"] == pytest.approx([ratio, ratio])


def test_a_recording_is_one_more_scenario(tiny_config: Any, traces: dict[str, Path]) -> None:
    jobs = scenarios.STUDY.jobs(tiny_config, Path(), StudyOptions(seeds=2, trace=traces["marllb"]))
    assert {job.variant for job in jobs} == {*SCENARIOS, "trace"}
    assert sorted({job.config.seed for job in jobs}) == [tiny_config.seed, tiny_config.seed + 1]
