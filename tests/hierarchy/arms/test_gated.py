"""What is taken is the best of the learned pair and all rules on selection seeds that no search has met."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
import envs.spark.world
from envs import SparkConfig
from envs.core.rules import Controller
from hierarchy.arms import Agents, Start, ablation, arms_of
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.gated import Taken, start_named
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import Batch, play
from hierarchy.arms.selection import Selection
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from tests.hierarchy.arms.test_selection import Watching
from tests.hierarchy.arms.toys import FIRST, Plain, Steps, Toy

NOBODY: Any = Agents(lower=None)  # type: ignore[arg-type]  # what stands for the learned pair needs no agents
N_TRIAL_SEEDS, N_SELECT_SEEDS = 4, 6
GOOD, BAD = {"few": 19, "many": 20, "above": 10.0}, {"few": 1, "many": 1, "above": 10.0}
"""Numbers of executors under an objective that asks for speed."""


class Crowded(Plain):
    """A rule that has another world than the others."""

    def configured(self, config: SparkConfig) -> SparkConfig:
        return dataclasses.replace(config, form="extended")


def learned(numbers: Mapping[str, Any], start: Start) -> Controller:
    """Stands for the learned pair."""
    return Steps(start.simulation.n_envs, [numbers])


@pytest.fixture
def config(untracked_config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> ExperimentConfig:
    monkeypatch.setattr(envs.spark.world, "RULES", {"toy": Toy(), "plain": Plain()}, raising=False)
    settings = {"n_trials": 4, "n_trial_seeds": N_TRIAL_SEEDS, "n_select_seeds": N_SELECT_SEEDS, "oracles": False}
    config = dataclasses.replace(untracked_config, ablation=dataclasses.replace(untracked_config.ablation, **settings))
    return dataclasses.replace(config, env=SparkConfig(episode_steps=16))


def found_for(config: ExperimentConfig, watching: Watching | None = None) -> dict[str, Any]:
    """What is found for the gated arm."""
    selection = Selection(config, envs.describe(config.env), NOBODY, Jobs(watching or Watching()))
    values: dict[str, Any] = {}
    for found in ablation.all_needs({"gated": arms_of(config.env)["gated"]}):
        values[found.name] = found.find(selection, values)
    return values


def scores_of(config: ExperimentConfig, numbers: Mapping[str, Any]) -> np.ndarray:
    """Objective of numbers on the seeds after those that searches meet."""
    seeds = range(2 * N_TRIAL_SEEDS, 2 * N_TRIAL_SEEDS + N_SELECT_SEEDS)
    batch = Batch(config.env, "select", seeds, config.ablation.select_windows)
    return play(config, NOBODY, {}, partial(learned, numbers), batch).objective


@pytest.mark.parametrize(("numbers", "name"), [(GOOD, "learned"), (BAD, "toy")])
def test_the_best_on_fresh_seeds_is_taken(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, numbers: dict[str, Any], name: str
) -> None:
    monkeypatch.setattr("hierarchy.arms.gated.start_learned", partial(learned, numbers))
    found = found_for(config)
    taken: Taken = found["gate"]
    of_all = {"learned": numbers, "toy": found["toy"].numbers, "plain": FIRST}
    expected = {one: scores_of(config, own) for one, own in of_all.items()}
    assert taken.means == pytest.approx({one: scores.mean() for one, scores in expected.items()}, rel=1e-9)
    errors = {one: scores.std(ddof=1) / np.sqrt(N_SELECT_SEEDS) for one, scores in expected.items()}
    assert taken.standard_errors == pytest.approx(errors, rel=1e-6)
    assert taken.name == name == max(expected, key=lambda one: expected[one].mean())
    assert taken.numbers == ({} if name == "learned" else found["toy"].numbers)
    assert taken.n_seeds == N_SELECT_SEEDS


def test_all_meet_the_same_seeds_which_no_search_has_met(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierarchy.arms.gated.start_learned", partial(learned, GOOD))
    watching = Watching()
    found_for(config, watching)
    *searching, first, second, third = ([*batch.env_ids] for batch in watching.batches)
    assert first == second == third
    assert len(first) == N_SELECT_SEEDS
    assert not {*first} & {seed for seeds in searching for seed in seeds}
    assert {batch.role for batch in watching.batches} == {"select"}


def test_what_is_taken_runs_in_its_world(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envs.spark.world, "RULES", {"plain": Plain(), "crowded": Crowded()})
    monkeypatch.setattr("hierarchy.arms.gated.start_learned", partial(learned, BAD))
    watching = Watching()
    found_for(config, watching)
    crowded = Crowded().configured(config.env)
    assert [batch.env for batch in watching.batches] == [config.env, config.env, crowded]
    arm = arms_of(config.env)["gated"]
    for name, world in (("learned", config.env), ("plain", config.env), ("crowded", crowded)):
        taken = Taken(name, {}, {}, {}, 1, 0)
        [ours] = (
            one
            for one in Ablation(config, NOBODY, Inline()).play({"gated": arm}, {"gate": taken}).values()
            if one is not None
        )
        numbers = BAD if name == "learned" else FIRST
        batch = Batch(world, "evaluate", range(config.ablation.n_seeds), config.ablation.episode_windows)
        own = play(config, NOBODY, {}, partial(learned, numbers), batch)
        assert_array_equal(ours.objective, own.objective, err_msg=name)


def test_the_steps_of_the_choice_are_those_that_were_announced(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hierarchy.arms.gated.start_learned", partial(learned, GOOD))
    told: list[int] = []
    arms = {"gated": arms_of(config.env)["gated"]}
    run = Ablation(config, NOBODY, Inline(), told.append)
    values = run.find(arms)
    gate = next(found for found in ablation.all_needs(arms) if found.name == "gate")
    assert gate.n_lower_steps(config, envs.describe(config.env)) == values["gate"].n_lower_steps
    assert values["gate"].n_lower_steps == 3 * Selection.steps_per_candidate(config, N_SELECT_SEEDS)
    assert sum(told) == values["gate"].n_lower_steps + values["toy"].n_lower_steps


def test_what_was_taken_is_kept_with_all_that_it_needs(config: ExperimentConfig) -> None:
    taken = Taken("toy", BAD, {"learned": 1.0, "toy": 2.0, "plain": 0.5}, {"learned": 0.1, "toy": 0.2, "plain": None}, 6, 9)
    plain = json.loads(json.dumps(ablation.to_json(config, {"gate": taken})))
    again = ablation.from_json(config, plain)
    assert again == {"gate": taken}, "the numbers of the rule itself are not needed"
    assert ablation.of_results(again) == {"gate": dataclasses.asdict(taken)}
    start = pickle.loads(pickle.dumps(arms_of(config.env)["gated"].start))
    batch = Batch(config.env, "evaluate", range(2), 3)
    own = play(config, NOBODY, {}, partial(learned, BAD), batch)
    assert_array_equal(play(config, NOBODY, again, start, batch).objective, own.objective)


def test_a_rule_that_another_world_lacks_is_not_run_there(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ablation.to_json(config, {"gate": Taken("toy", FIRST, {}, {}, 1, 0)})
    monkeypatch.setattr(envs.spark.world, "RULES", {"plain": Plain()})
    assert ablation.from_json(config, plain) == {}
    assert ablation.from_json(config, {"gate": {**plain["gate"], "name": "plain"}}).keys() == {"gate"}


def test_without_rules_there_is_nothing_to_choose(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted(config: ExperimentConfig) -> bool:
        return "gated" in ablation.wanted_arms(config, envs.describe(config.env))

    assert wanted(config)
    assert not wanted(dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, heuristics=False)))
    monkeypatch.setattr(envs.spark.world, "RULES", {})
    assert not wanted(config)


def test_what_is_to_start_goes_to_another_process() -> None:
    start: partial[Any] = pickle.loads(pickle.dumps(partial(start_named, "toy", FIRST)))
    assert (start.func, start.args) == (start_named, ("toy", FIRST))


@pytest.mark.parametrize("name", ["gated", "gate"])
def test_no_rule_is_called_like_the_choice(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    rules: Mapping[str, Any] = {name: Toy()}
    monkeypatch.setattr(envs.spark.world, "RULES", rules)
    with pytest.raises(ValueError, match=f"got {name}$"):
        arms_of(config.env)
