"""The rule that agents start from is tuned once, before anything is trained, and all have the same numbers after that."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

import envs
from hierarchy import experiment as experiments
from hierarchy import study
from hierarchy.arms import ablation
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.phases import tuning
from hierarchy.storage.files import read_json, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.trained import config_of

RULE = "autoscale_pools"


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    actions = dataclasses.replace(untracked_config.env.actions, mode="offsets", rule=RULE, every_steps=2)
    env = dataclasses.replace(untracked_config.env, actions=actions)
    lower = dataclasses.replace(untracked_config.lower, paired=True, n_steps=8)
    arms = dataclasses.replace(untracked_config.ablation, oracles=False)
    return dataclasses.replace(untracked_config, env=env, lower=lower, ablation=arms, executor="inline")


@pytest.fixture(scope="module")
def trained(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    experiments.train(Experiment(config, out))
    return out


def numbers_in(folder: Path) -> Any:
    return config_of(folder).env.actions.numbers  # type: ignore[attr-defined]  # a load-balancing world


def test_agents_are_trained_over_the_numbers_that_were_found(trained: Path) -> None:
    rule = read_json(trained / "rule.json")[RULE]
    assert rule["n_trials"] > 1
    assert numbers_in(trained) == rule["numbers"] != {}


def test_the_rule_is_an_arm_with_the_same_numbers_and_is_not_tuned_again(trained: Path, config: ExperimentConfig) -> None:
    assert read_json(trained / "found.json")[RULE] == read_json(trained / "rule.json")[RULE]
    known = ablation.n_lower_steps(config, known={RULE})
    assert 0 < known < ablation.n_lower_steps(config)


def test_whoever_starts_from_a_rule_knows_what_it_knows(trained: Path, config: ExperimentConfig) -> None:
    facts = ablation.facts_of(dataclasses.replace(config, env=_with_rule(config, "autoscale_forecast")))
    told = {name for name, fact in facts.items() if fact.knows == "days"}
    assert {"learned", "fixed_best", "flat", "autoscale_forecast"} <= told
    assert not {"autoscale_pools", "sed", "regime_oracle", "fixed_hindsight"} & told
    assert read_json(trained / "results.json")["arms"]["learned"]["knows"] == "measurements"


def _with_rule(config: ExperimentConfig, rule: str) -> envs.LoadBalancingConfig:
    assert isinstance(config.env, envs.LoadBalancingConfig)
    return dataclasses.replace(config.env, actions=dataclasses.replace(config.env.actions, rule=rule))


def test_later_phases_go_on_with_the_numbers_of_the_folder(trained: Path, config: ExperimentConfig) -> None:
    """Though the settings leave them open, as those of whoever calls a command again do."""
    before = json.loads((trained / "rule.json").read_text())
    before[RULE]["mean"] = 123.0  # as no search would find it
    write_json(before, trained / "rule.json")
    experiments.train_upper(Experiment(config, trained))
    experiments.ablate(Experiment(config, trained))
    study.check_folder(config, trained)
    assert numbers_in(trained) == before[RULE]["numbers"]
    assert read_json(trained / "rule.json") == before
    assert read_json(trained / "found.json")[RULE] == before[RULE]


def test_what_was_found_for_another_rule_is_not_taken_over(trained: Path, config: ExperimentConfig) -> None:
    folder, other = OutputFolder(trained), dataclasses.replace(config, env=_with_rule(config, "autoscale"))
    assert tuning.tuned_before(config, folder).keys() == {RULE}
    assert tuning.tuned_before(other, folder) == {}
    assert tuning.recall(other, folder) == other


def test_a_search_counts_where_it_is_asked_whether_workers_pay(config: ExperimentConfig) -> None:
    assert tuning.n_lower_steps(config) > 0
    assert tuning.n_lower_steps(dataclasses.replace(config, env=envs.with_numbers(config.env, {"up_0": 1.0}))) == 0
    assert tuning.n_lower_steps(dataclasses.replace(config, env=envs.LoadBalancingConfig())) == 0


def test_given_numbers_are_not_searched_for(trained: Path, config: ExperimentConfig, tmp_path: Path) -> None:
    given = {**numbers_in(trained), "hold_off_s_0": 1.25}
    settings = dataclasses.replace(config, env=envs.with_numbers(config.env, given))
    experiments.train_lower(Experiment(settings, tmp_path))
    assert numbers_in(tmp_path) == given
    assert not (tmp_path / "rule.json").exists()


def test_without_such_a_rule_nothing_is_tuned(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(dataclasses.replace(untracked_config, executor="inline"), tmp_path))
    assert not (tmp_path / "rule.json").exists()
