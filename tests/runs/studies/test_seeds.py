"""Studies of several training seeds take each seed's agents over the rule that these were trained to guide."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from envs import LoadBalancingConfig
from hierarchy.config import ExperimentConfig
from hierarchy.storage.files import write_json
from hierarchy.storage.folder import OutputFolder, seed_folder
from runs.studies import study_of
from runs.studies.study import StudyOptions

BEST = {3: "autoscale_forecast", 4: "autoscale_shifts"}
"""The rule that was best on each training seed."""
NUMBERS = {
    "autoscale_pools": {"least_0": 1},
    "autoscale_forecast": {"least_0": 2},
    "autoscale_shifts": {"least_0": 3},
}


@pytest.fixture
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    assert isinstance(untracked_config.env, LoadBalancingConfig)
    actions = dataclasses.replace(untracked_config.env.actions, mode="guided", every_steps=2)
    env = dataclasses.replace(untracked_config.env, actions=actions, backends="class")
    upper = dataclasses.replace(untracked_config.upper, from_fixed_best=True)
    return dataclasses.replace(untracked_config, env=env, upper=upper)


@pytest.fixture
def studied(config: ExperimentConfig, tmp_path: Path) -> Path:
    """What studies look at in the folder of a study, before they load anything."""
    for seed, best in BEST.items():
        folder = OutputFolder(seed_folder(tmp_path, seed))
        folder.save_config("tiny", dataclasses.replace(config, seed=seed))
        found = {"standard_error": 0.1, "n_trials": 4, "n_cut_short": 0, "n_lower_steps": 10}
        rules = {name: {"numbers": of, "mean": float(name == best), **found} for name, of in NUMBERS.items()}
        write_json({"searched": {}, "rules": rules}, folder.rule)
        write_json({}, folder.results)
        for name in ("lower", "upper", "flat"):
            folder.agent(name).touch()
    return tmp_path


@pytest.mark.parametrize("name", ["headroom", "held_out", "adaptation", "front", "steering", "upper_seeds"])
def test_the_rule_is_that_of_the_training_seed(name: str, config: ExperimentConfig, studied: Path) -> None:
    jobs = study_of(name).jobs(config, studied, StudyOptions())
    assert jobs
    for job in jobs:
        assert isinstance(job.config.env, LoadBalancingConfig)
        actions, best = job.config.env.actions, BEST[job.config.seed]
        assert (actions.rule, actions.numbers) == (best, NUMBERS[best])
    assert {job.config.seed for job in jobs} == ({3} if name == "steering" else set(BEST))
