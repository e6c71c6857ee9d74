"""The rules that agents may start from are tuned once, before anything is trained, and the best of them is started from."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

import envs
from envs.load_balancing.objectives import OBJECTIVES
from envs.load_balancing.rules.base import numbers_of
from envs.load_balancing.stories import prices_doubled
from hierarchy import experiment as experiments
from hierarchy import study
from hierarchy.arms import ablation
from hierarchy.config import ExperimentConfig
from hierarchy.evaluation import evaluate_folder
from hierarchy.experiment import Experiment
from hierarchy.phases import tuning
from hierarchy.storage.files import read_json, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.trained import config_of

RULES = ("autoscale_pools", "autoscale_forecast", "autoscale_shifts")


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    actions = dataclasses.replace(untracked_config.env.actions, mode="guided", every_steps=2)
    env = dataclasses.replace(untracked_config.env, actions=actions, backends="class")
    lower = dataclasses.replace(untracked_config.lower, paired=True, n_steps=8)
    upper = dataclasses.replace(untracked_config.upper, paired=True, from_fixed_best=True)
    arms = dataclasses.replace(untracked_config.ablation, oracles=False)
    return dataclasses.replace(untracked_config, env=env, lower=lower, upper=upper, ablation=arms, executor="inline")


@pytest.fixture(scope="module")
def trained(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    experiments.train(Experiment(config, out))
    return out


def actions_in(folder: Path) -> Any:
    return config_of(folder).env.actions  # type: ignore[attr-defined]  # a load-balancing world


def best_of(rules: dict[str, Any]) -> str:
    return max(rules, key=lambda name: rules[name]["mean"])


def test_agents_are_trained_over_the_best_rule_and_the_numbers_that_were_found(trained: Path) -> None:
    rules = read_json(trained / "rule.json")["rules"]
    assert tuple(rules) == RULES
    assert all(rule["n_trials"] > 1 for rule in rules.values())
    assert actions_in(trained).rule == best_of(rules)
    assert actions_in(trained).numbers == rules[best_of(rules)]["numbers"] != {}


def test_rules_are_arms_with_the_same_numbers_and_are_not_tuned_again(trained: Path, config: ExperimentConfig) -> None:
    rules, found = read_json(trained / "rule.json")["rules"], read_json(trained / "found.json")
    assert {name: found[name] for name in RULES} == rules
    known = ablation.n_lower_steps(config, known=set(RULES))
    assert 0 < known < ablation.n_lower_steps(config)


def test_whoever_starts_from_a_rule_knows_what_it_is_told(trained: Path, config: ExperimentConfig) -> None:
    told = {name for name, fact in ablation.facts_of(config).items() if fact.knows == "timetable"}
    assert {"learned", "fixed_best", "flat", "autoscale_shifts"} <= told
    assert not {"autoscale_pools", "autoscale_forecast", "sed", "regime_oracle", "fixed_hindsight"} & told
    assert read_json(trained / "results.json")["arms"]["learned"]["knows"] == "timetable"


def test_agents_are_evaluated_over_the_rule_that_they_were_trained_over(trained: Path, config: ExperimentConfig) -> None:
    """In their own world they do what they did, though the settings leave the rule open."""
    again, before = evaluate_folder(config, trained), read_json(trained / "results.json")
    for name in ("learned", "fixed_best", "gated"):
        assert again["arms"][name]["objective"] == before["arms"][name]["objective"], name  # type: ignore[index]  # an arm


def _with_rule(config: ExperimentConfig, rule: str) -> envs.LoadBalancingConfig:
    assert isinstance(config.env, envs.LoadBalancingConfig)
    return dataclasses.replace(config.env, actions=dataclasses.replace(config.env.actions, rule=rule))


def test_later_phases_go_on_with_the_numbers_of_the_folder(trained: Path, config: ExperimentConfig, tmp_path: Path) -> None:
    """Though the settings leave them open, as those of whoever calls a command again do."""
    trained = shutil.copytree(trained, tmp_path / "copied")
    written = read_json(trained / "rule.json")
    before = written["rules"]
    other = next(name for name in RULES if name != best_of(before))
    before[other]["mean"] = 123.0  # as no search would find it
    write_json(written, trained / "rule.json")
    experiments.train_upper(Experiment(config, trained))
    experiments.ablate(Experiment(config, trained))
    study.check_folder(config, trained)
    assert (actions_in(trained).rule, actions_in(trained).numbers) == (other, before[other]["numbers"])
    assert read_json(trained / "rule.json") == written
    assert read_json(trained / "found.json")[other] == before[other]


@pytest.mark.parametrize("changed", ["objective", "price", "n_trials", "seed"])
def test_numbers_that_were_found_for_something_else_are_no_arms(
    changed: str, trained: Path, config: ExperimentConfig
) -> None:
    """Agents go on guiding the rule that they were trained to guide; as an arm it is tuned again."""
    world, folder = config.env, OutputFolder(trained)
    assert isinstance(world, envs.LoadBalancingConfig)
    other = {
        "objective": dataclasses.replace(config, env=dataclasses.replace(world, objective=OBJECTIVES["slo"]())),
        "price": dataclasses.replace(config, env=prices_doubled(world)),
        "n_trials": dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, n_trials=5)),
        "seed": dataclasses.replace(config, seed=99),
    }[changed]
    assert set(tuning.found_for(config, folder)) == set(RULES)
    assert tuning.found_for(tuning.recall(config, folder), folder) == tuning.found_for(config, folder)
    assert tuning.found_for(other, folder) == {}
    assert envs.base_rule(tuning.recall(other, folder).env) == envs.base_rule(tuning.recall(config, folder).env)


def test_what_was_found_for_other_rules_is_not_taken_over(trained: Path, config: ExperimentConfig) -> None:
    folder = OutputFolder(trained)
    joint = dataclasses.replace(config, env=dataclasses.replace(config.env, backends="joint"))
    assert set(tuning.tuned_before(config, folder)) == set(RULES)
    assert tuning.tuned_before(joint, folder) == {}
    assert tuning.recall(joint, folder) == joint


def test_a_rule_by_name_has_the_numbers_that_were_found_for_it(trained: Path, config: ExperimentConfig) -> None:
    named = dataclasses.replace(config, env=_with_rule(config, RULES[1]))
    actions = tuning.recall(named, OutputFolder(trained)).env.actions  # type: ignore[attr-defined]  # as above
    assert (actions.rule, actions.numbers) == (RULES[1], read_json(trained / "rule.json")["rules"][RULES[1]]["numbers"])
    assert tuning.rules_to_tune(named) == (RULES[1],)


def test_a_search_counts_where_it_is_asked_whether_workers_pay(config: ExperimentConfig) -> None:
    found = envs.with_numbers(config.env, RULES[0], numbers_of(_with_rule(config, RULES[0])))
    one = dataclasses.replace(config, env=_with_rule(config, RULES[0]))
    assert tuning.n_lower_steps(config) == 3 * tuning.n_lower_steps(one) > 0
    assert tuning.n_lower_steps(dataclasses.replace(config, env=found)) == 0
    assert tuning.n_lower_steps(dataclasses.replace(config, env=envs.LoadBalancingConfig())) == 0


def test_given_numbers_are_not_searched_for(trained: Path, config: ExperimentConfig, tmp_path: Path) -> None:
    actions = actions_in(trained)
    given = {**actions.numbers, "hold_off_s_0": 1.25}
    settings = dataclasses.replace(config, env=envs.with_numbers(config.env, actions.rule, given))
    experiments.train_lower(Experiment(settings, tmp_path))
    assert actions_in(tmp_path).numbers == given
    assert not (tmp_path / "rule.json").exists()
    later = tuning.recall(config, OutputFolder(tmp_path))  # settings leave them open
    assert envs.base_rule(later.env) == envs.base_rule(settings.env)
    (other, *_) = (name for name in RULES if name != actions.rule)
    named = dataclasses.replace(config, env=_with_rule(config, other))
    assert tuning.recall(named, OutputFolder(tmp_path)) == named, "that is another rule"


def test_without_such_a_rule_nothing_is_tuned(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    experiments.train_lower(Experiment(dataclasses.replace(untracked_config, executor="inline"), tmp_path))
    assert not (tmp_path / "rule.json").exists()


def test_an_experiment_that_begins_at_the_best_fixed_mix_is_whole(trained: Path, config: ExperimentConfig) -> None:
    """Its steps are counted, pictures are drawn, and arms share what was found."""
    results = read_json(trained / "results.json")
    assert results["lower"]["timesteps"] == config.lower.timesteps
    assert (trained / "learning.png").is_file()
    assert len(results["upper"]["candidates"]) == config.upper.candidates + 1
    assert read_json(trained / "found.json")["fixed_best"]["n_lower_steps"] > 0
