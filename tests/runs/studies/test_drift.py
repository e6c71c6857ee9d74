"""Upper agents in a world that drifts: all meet the same requests, and what is recovered is a share of what is lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.pair import Held
from hierarchy.storage.trained import load
from runs.studies import drift
from runs.studies.running import run_study
from runs.studies.study import StudyOptions

RISING = np.array([1.0, 1.1, 0.9])


def test_what_is_recovered_is_a_share_of_what_is_lost() -> None:
    assert drift.recovered(RISING / 2, RISING) == pytest.approx(0.5)
    assert drift.recovered(RISING, RISING * [1.0, -1.0, 1.0]) is None, "what is lost is not told apart from nothing"


@pytest.fixture(scope="module")
def folder(untracked_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drift") / "one"
    experiment.train(Experiment(dataclasses.replace(untracked_config, executor="inline"), out))
    return out


@pytest.mark.slow
def test_streams_are_the_same_alone_and_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "HOURS", 0.02)
    trained = load(folder)
    config, mix = drift.drifting(trained.config), np.array([0.2, 0.5, 0.3])
    both = drift.stream(config, trained.lower, [0, 1], lambda below: Held(mix))
    assert both.shape == (2, drift.n_windows(config))
    assert not np.array_equal(both[0], both[1])
    for number in (0, 1):
        assert np.array_equal(drift.stream(config, trained.lower, [number], lambda below: Held(mix))[0], both[number])
    still = drift.stream(trained.config, trained.lower, [0], lambda below: Held(mix))
    assert not np.array_equal(still[0], both[0]), "it drifts"


def test_an_agent_that_can_not_go_on_learning_is_named_before_anything_runs(
    untracked_config: ExperimentConfig, tmp_path: Path
) -> None:
    episodes = dataclasses.replace(untracked_config.upper, meta_step="episode")
    heuristics = dataclasses.replace(untracked_config.ablation, heuristics=False)
    config = dataclasses.replace(untracked_config, upper=episodes, ablation=heuristics)
    experiment.train(Experiment(config, tmp_path / "one"))
    with pytest.raises(SettingError, match=r"^upper.meta_step must be window for an agent that goes on learning"):
        drift.STUDY.jobs(config, tmp_path / "one", StudyOptions())


@pytest.mark.slow
def test_all_are_met_in_their_streams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "HOURS", 0.02)
    monkeypatch.setattr(drift, "N_STREAMS", 2)
    found = run_study("drift", load(folder).config, folder, StudyOptions())
    assert list(found["arms"]) == list(drift.VARIANTS)
    assert found["arms"][drift.FROZEN]["minus_deployed"]["mean"] == 0.0
    assert (folder / drift.PICTURE).is_file()
    assert [row[0] for row in drift.STUDY.sections(found)[0].rows[1:]] == list(drift.VARIANTS)
