"""Lower algorithms learn over the same rule, and are held against what recurrent PPO comes to on the same training seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment, train_lower
from hierarchy.lower.sac_gru import SACGRUConfig
from runs.settings.experiment import preset_config
from runs.studies import algorithms
from runs.studies.running import run_study
from runs.studies.study import StudyOptions


def curve(*values: float, final: float = 0.0) -> dict[str, Any]:
    n = len(values)
    return {"steps": [*range(0, 10 * n, 10)], "seconds": [*range(n)], "values": [*values], "final": final}


def test_the_preset_of_an_algorithm_is_what_the_study_trains() -> None:
    assert algorithms.learning_by(preset_config("default"), "sac_gru") == preset_config("sac")
    assert algorithms.learning_by(preset_config("default"), "recurrent_ppo") == preset_config("default")


def test_the_target_is_most_of_the_way_to_where_ppo_ends() -> None:
    assert algorithms.target_from(curve(1.0, 9.0, 2.0, 3.0)) == pytest.approx(1.0 + 0.95 * 2.0)
    assert algorithms.target_from(curve(5.0, 4.0, 3.0, 3.0)) == np.inf, "it gained nothing"


def test_what_it_takes_is_of_the_seeds_that_stay_above_their_target() -> None:
    of_seeds = [curve(0.0, 4.0, 4.0, 4.0, 4.0, final=4.0), curve(0.0, 4.0, 4.0, 0.0, 0.0, final=0.0)]
    found = algorithms.of_algorithm(of_seeds, [3.0, 3.0], np.array([5.0, 1.0]))
    assert (found["n"], found["n_reached"]) == (2, 1)
    assert (found["steps_to_target"], found["seconds_to_target"]) == (30.0, 3.0)
    assert found["minus_ppo"]["per_seed"] == [-1.0, -1.0]
    never = algorithms.of_algorithm(of_seeds[1:], [3.0], np.array([1.0]))
    assert never["steps_to_target"] is never["seconds_to_target"] is None


@pytest.mark.slow
def test_all_begin_alike_and_go_as_far(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    lower = dataclasses.replace(untracked_config.lower, timesteps=96)
    config = dataclasses.replace(untracked_config, lower=lower, executor="inline")
    train_lower(Experiment(config, tmp_path))
    with pytest.raises(SettingError, match=r"lower.algorithm must be recurrent_ppo for this study, got sac_gru"):
        run_study("algorithms", dataclasses.replace(config, lower=SACGRUConfig()), tmp_path, StudyOptions())
    found = run_study("algorithms", config, tmp_path, StudyOptions(seeds=1))
    assert list(found) == ["recurrent_ppo", "sac_gru"]
    for one in found.values():
        [of_seed] = one["per_seed"]
        assert of_seed["steps"][0] == 0
        assert of_seed["steps"][-1] >= 90
        assert len(of_seed["values"]) == len(of_seed["seconds"]) == len(of_seed["steps"]) > 3
    rows = algorithms.STUDY.sections(found)[0].rows
    assert [row[0] for row in rows[1:]] == [*found]
