"""A study holds estimators against the truth: policies are what they say, and are simulated from where the behaviour was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.validation import SettingError
from hierarchy.collecting.sources import numbered
from hierarchy.config import ExperimentConfig
from hierarchy.off_policy.settings import OffPolicy
from runs.cli import main
from runs.settings.experiment import preset_config
from runs.studies import overlap, policies
from runs.studies.policies import FAR, NEAR, Moments
from runs.studies.study import Job, StudyOptions
from tests.runs.studies.keeping import comes_back

MOMENTS = Moments(np.zeros(5), np.ones(5))
N = 4
OBSERVED = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> ExperimentConfig:
    """Episodes of twenty actions, few of them."""
    for name, n in {"N_EPISODES": 12, "N_SIMULATED": 4, "N_NEAR": 2, "N_BETWEEN": 1, "N_FAR": 1, "N_PILOT": 2}.items():
        monkeypatch.setattr(overlap, name, n)
    config = preset_config("overlap")
    return numbered(dataclasses.replace(config, env=dataclasses.replace(config.env, episode_steps=100)))


def held() -> list[policies.Policy]:
    makers = (policies.near, policies.between, policies.far)
    return [one for make in makers for one in make(MOMENTS, N, 0, 8)]


def test_policies_have_chances_and_only_one_takes_what_the_behaviour_never_does() -> None:
    for policy in held():
        chances = policy.probabilities(OBSERVED)
        assert (chances >= 0.0).all()
        assert_allclose(chances.sum(1), 1.0)
        assert (chances[:, -1] == float(policy.kind == "action never taken")).all()
    assert len({policy.kind for policy in held()}) > 15


def test_near_policies_are_nearer_than_far_ones() -> None:
    """By what is taken otherwise; and the behaviour takes each action but the last now and then."""
    own = policies.behaviour(MOMENTS, N)(OBSERVED)
    assert (own[:, :-1] >= policies.EXPLORED / (N - 1) - 1e-12).all()
    apart = {
        group: [
            0.5 * np.abs(policy.probabilities(OBSERVED) - own).sum(1).mean() for policy in held() if policy.group == group
        ]
        for group in (NEAR, FAR)
    }
    assert max(apart[NEAR]) < 0.3 < min(apart[FAR])


def test_actions_are_drawn_as_likely_as_they_are() -> None:
    chances = np.tile([0.2, 0.0, 0.5, 0.3], (40_000, 1))
    chosen = policies.drawn(chances, np.random.default_rng(0).random(40_000))
    assert_allclose(np.bincount(chosen, minlength=4) / 40_000, chances[0], atol=0.01)
    assert policies.drawn(np.array([[0.5, 0.5 - 1e-12]]), np.array([1.0 - 1e-16])) == [1], "sums may fall short of 1"


def test_a_record_has_what_the_behaviour_was_likely_to_do(config: ExperimentConfig) -> None:
    moments = overlap.moments_of(config)
    acts = policies.behaviour(moments, overlap.n_choices_of(config))
    for episode in overlap.recorded(config, acts):
        chances = acts(episode.observations[:-1])
        assert_allclose(episode.propensity, chances[np.arange(episode.n_actions), episode.actions[:, 0]])


def test_the_behaviour_simulated_again_is_the_behaviour(config: ExperimentConfig) -> None:
    """From every moment that a piece begins at, on the same requests; another policy meets the same moments."""
    moments, n = overlap.moments_of(config), overlap.n_choices_of(config)
    acts = policies.behaviour(moments, n)
    truth = overlap.Truth(config, acts, OffPolicy())
    assert truth.behaviour.shape == (4, 2)
    assert_array_equal(truth.of(acts), truth.behaviour)
    other = truth.of(policies.constant(np.eye(n)[3]))
    assert (other != truth.behaviour).any()
    assert_array_equal(truth.of(acts), truth.behaviour)


def test_a_job_comes_back_as_it_was(config: ExperimentConfig, tmp_path: Path) -> None:
    [job, _] = overlap.STUDY.jobs(config, tmp_path, StudyOptions(seeds=2))
    result = overlap.STUDY.run_job(job)
    assert [one["group"] for one in result["policies"]] == ["near", "near", "between", "far"]
    assert comes_back(overlap.STUDY, result, tmp_path)


def estimate(ci95: list[float] | None, gain_ci95: list[float] | None) -> dict[str, Any]:
    return {"ci95": ci95, "gain_ci95": gain_ci95, "refused": None if ci95 else "so", "n_effective": 5.0}


def test_intervals_and_refusals_are_counted() -> None:
    """The truth is the behaviour's value over all records, and a policy's gain in its own."""

    def record(value: float, gain: float, one: dict[str, Any]) -> dict[str, Any]:
        told = {"behaviour": estimate([0.9, 2.1], [0.0, 0.0]), "estimators": dict.fromkeys(("fqe", "wis", "dr"), one)}
        return {"behaviour": value, "policies": [{"group": "near", "kind": "k", "simulated_gain": gain, "told": told}]}

    records = [
        record(1.0, 0.5, estimate([1.9, 2.1], [0.4, 0.6])),
        record(2.0, 0.5, estimate([1.9, 2.1], [0.6, 0.8])),
        record(3.0, 0.5, estimate(None, None)),
        record(0.0, 0.6, estimate([1.9, 2.05], [0.5, 0.7])),
    ]
    found = overlap.STUDY.combine({overlap.RECORDS: records}, ExperimentConfig())
    assert found["behaviour"] == {"simulated": 1.5, "covered": 4, "records": 4}
    counted = found["estimators"]["wis"]["near"]
    assert (counted["policies"], counted["refused"]) == (4, 1)
    assert (counted["value_covered"], counted["gain_covered"]) == (2, 2)
    assert counted["half_width"] == pytest.approx(0.1)
    assert found["estimators"]["wis"]["far"]["half_width"] is None


def test_a_world_of_several_choices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^env\.actions must be one choice with a nominal one"):
        overlap.STUDY.jobs(ExperimentConfig(), tmp_path, StudyOptions())
    jobs: list[Job] = overlap.STUDY.jobs(preset_config("overlap"), tmp_path, StudyOptions(seeds=3))
    assert [job.config.seed for job in jobs] == [0, 1, 2]


@pytest.mark.slow
def test_it_runs_from_the_command_line(config: ExperimentConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--seeds", "1", "--executor", "inline", "--env.episode_steps", "100"]
    assert main(["study", "overlap", str(tmp_path / "out"), *words]) == 0
    found = json.loads((tmp_path / "out" / "overlap.json").read_text())
    assert len(found["policies"]) == 4
    assert "Off-policy evaluation against simulation" in capsys.readouterr().out
