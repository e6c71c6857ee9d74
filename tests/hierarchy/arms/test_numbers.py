"""Rules with numbers, and mixes: found on selection seeds, kept with what is known of them, played on others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
import envs.composed.world
import envs.spark.world
from envs import ComposedConfig, SparkConfig
from envs.core.simulation import Simulation
from hierarchy.arms import Agents, Chosen, ablation, arms_of
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.mix_race import race_mixes
from hierarchy.arms.running import Batch, play
from hierarchy.arms.selection import Selection
from hierarchy.arms.tuning import Budget
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes
from hierarchy.protocols import TrainedActor
from tests.hierarchy.arms.test_selection import Watching
from tests.hierarchy.arms.toys import FIRST, Plain, Right, Toy

NOBODY: Any = Agents(lower=None)  # type: ignore[arg-type]  # nothing acts but the rule


def ablated(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **settings))


@pytest.fixture
def config(untracked_config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> ExperimentConfig:
    """A stream world with two rules, of which one has numbers."""
    monkeypatch.setattr(envs.spark.world, "RULES", {"toy": Toy(), "plain": Plain()}, raising=False)
    config = ablated(untracked_config, n_trials=20, n_trial_seeds=8)
    return dataclasses.replace(config, env=SparkConfig(episode_steps=16))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Counts the steps that any world is really advanced by."""
    n_steps, advance = [0], Simulation.advance

    def counting(self: Simulation, setting: Any) -> Any:
        running = advance(self, setting)
        n_steps[0] += int(running.sum())
        return running

    monkeypatch.setattr(Simulation, "advance", counting)
    return lambda: n_steps[0]


def selection_of(config: ExperimentConfig, agents: Agents, n_workers: int = 1) -> Selection:
    return Selection(config, envs.describe(config.env), agents, Jobs(Watching(n_workers)))


def find(config: ExperimentConfig, name: str, selection: Selection) -> Chosen:
    """What is found for an arm, and all before it."""
    values: dict[str, Any] = {}
    for found in ablation.all_needs({name: arms_of(config.env)[name]}):
        values[found.name] = found.find(selection, values)
    best: Chosen = values[name]
    return best


def replayed(config: ExperimentConfig, agents: Agents, name: str, best: Chosen, n_seeds: int) -> np.ndarray:
    """The objective of an arm with its numbers on selection seeds."""
    arm = arms_of(config.env)[name]
    batch = Batch(config.env, "select", range(n_seeds), config.ablation.select_windows)
    return play(config, agents, {name: best}, arm.start, batch).objective


def test_numbers_are_at_least_as_good_as_the_first_and_stand_out(config: ExperimentConfig) -> None:
    best = find(config, "toy", selection_of(config, NOBODY))
    first = dataclasses.replace(best, numbers=FIRST)
    assert best.mean >= replayed(config, NOBODY, "toy", first, 16).mean()
    at_random = [{"few": few, "many": many, "above": 250.0} for few in (3, 10, 18) for many in (3, 10, 18)]
    others = [replayed(config, NOBODY, "toy", dataclasses.replace(best, numbers=one), 16).mean() for one in at_random]
    assert best.mean > max(others)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_what_is_known_of_numbers_is_what_replaying_them_gives(config: ExperimentConfig, n_workers: int) -> None:
    """Whoever shares the work."""
    best = find(config, "toy", selection_of(config, NOBODY, n_workers))
    scores = replayed(config, NOBODY, "toy", best, 16)
    assert best.mean == pytest.approx(scores.mean(), rel=1e-12)
    assert best.standard_error == pytest.approx(scores.std(ddof=1) / 4.0, rel=1e-9)
    assert best == find(config, "toy", selection_of(config, NOBODY))
    assert best.n_trials == 20
    assert best.n_cut_short == 17


def test_another_training_seed_searches_anew(config: ExperimentConfig) -> None:
    other = dataclasses.replace(config, seed=1)
    assert find(config, "toy", selection_of(config, NOBODY)) != find(other, "toy", selection_of(other, NOBODY))


def test_steps_are_those_really_done(
    config: ExperimentConfig, tiny_config: ExperimentConfig, policy: TrainedActor, counted: Callable[[], int]
) -> None:
    best = find(config, "toy", selection_of(config, NOBODY))
    of_arm = arms_of(config.env)["toy"].needs[0].n_lower_steps(config, envs.describe(config.env))
    assert best.n_lower_steps == counted() == of_arm
    before, tiny = counted(), ablated(tiny_config, n_trials=5, n_trial_seeds=3)
    mixed = find(tiny, "tuned_static", selection := selection_of(tiny, Agents(policy)))
    assert selection.n_steps == counted() - before > mixed.n_lower_steps
    assert mixed.n_lower_steps == Budget(5, 3).n_episodes * Selection.steps_per_candidate(tiny, 1)
    before = counted()
    raced = find(tiny, "fixed_best", selection_of(tiny, Agents(policy)))
    assert raced.n_lower_steps == counted() - before


def test_steps_after_an_end_do_not_count(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, counted: Callable[[], int]
) -> None:
    """A world that ends of itself takes fewer steps than were announced."""
    env = ComposedConfig(factory="tests.envs.walks:make_ending", episode_steps=16)
    monkeypatch.setattr(envs.composed.world, "RULES", {"right": Right()}, raising=False)
    config = dataclasses.replace(config, env=env)
    best = find(config, "right", selection_of(config, NOBODY))
    announced = arms_of(env)["right"].needs[0].n_lower_steps(config, envs.describe(env))
    assert best.n_lower_steps == counted() < announced


def test_every_search_has_the_same_budget_and_seeds(
    config: ExperimentConfig, tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    def met(config: ExperimentConfig, name: str, agents: Agents) -> list[list[int]]:
        watching = Watching()
        selection = Selection(config, envs.describe(config.env), agents, Jobs(watching))
        best = find(config, name, selection)
        per_candidate = Selection.steps_per_candidate(config, 1)
        assert best.n_lower_steps == Budget.of(config.ablation).n_episodes * per_candidate
        return [batch.env_ids for batch in watching.batches]

    tiny, of_race = ablated(tiny_config, n_trials=20, n_trial_seeds=8), Watching()
    race_mixes(Selection(tiny, envs.describe(tiny.env), Agents(policy), Jobs(of_race)), {})
    ours, theirs = met(config, "toy", NOBODY), met(tiny, "tuned_static", Agents(policy))
    assert ours == theirs[len(of_race.batches) :]
    assert ours[0] == [0, 1] * 16


def test_an_arm_plays_its_numbers_on_evaluation_seeds(config: ExperimentConfig) -> None:
    told: list[int] = []
    found: dict[str, Any] = {}
    config = ablated(config, constants=False, oracles=False)
    arms = {name: arm for name, arm in arms_of(config.env).items() if name in ("toy", "plain")}
    run = Ablation(config, NOBODY, Inline(), told.append)
    found.update(run.find(arms))
    assert found.keys() == {"toy"}
    episodes = run.play(arms, found)
    batch = Batch(config.env, "evaluate", range(config.ablation.n_seeds), config.ablation.episode_windows)
    for name, numbers in (("toy", found["toy"].numbers), ("plain", FIRST)):
        start = lambda start, numbers=numbers: Toy().start(None, start.simulation.n_envs, [numbers])  # noqa: E731
        own = play(config, NOBODY, {}, start, batch)
        assert_array_equal(episodes[name].objective, own.objective)
        assert episodes[name].contexts is None


def test_rules_with_numbers_are_left_out_with_the_others(config: ExperimentConfig) -> None:
    spec = envs.describe(config.env)
    with_rules = ablation.wanted_arms(config, spec)
    without = ablation.wanted_arms(ablated(config, heuristics=False), spec)
    assert with_rules.keys() - without.keys() == {"toy", "plain", "gated"}
    assert "toy" in {found.name for found in ablation.all_needs(with_rules)}
    assert "toy" not in {found.name for found in ablation.all_needs(without)}


def test_numbers_are_kept_as_plain_values(config: ExperimentConfig) -> None:
    best = find(config, "toy", selection_of(config, NOBODY))
    plain = json.loads(json.dumps(ablation.to_json(config, {"toy": best})))
    assert plain["toy"]["numbers"].keys() == FIRST.keys()
    assert ablation.from_json(config, plain) == {"toy": best}
    assert ablation.of_results({"toy": best, "table": np.eye(3)}) == {"toy": dataclasses.asdict(best)}


@pytest.mark.parametrize("name", ["race", "table", "flat"])
def test_a_rule_may_not_be_called_like_what_is_found_for_others(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(envs.spark.world, "RULES", {name: Toy()})
    with pytest.raises(ValueError, match=f"rules of a world must have other names than fixed_equal, .+, got {name}$"):
        arms_of(config.env)


# Mixes.


def test_the_best_mix_is_kept_with_its_mean(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    config, agents = ablated(tiny_config, n_select_seeds=8, grid_points=4), Agents(policy)
    best = find(config, "fixed_best", selection_of(config, agents))
    n_met = [len(scores) for scores in race_mixes(selection_of(config, agents), {}).scores]
    scores = replayed(config, agents, "fixed_best", best, max(n_met))
    assert_allclose(best.mean, scores.mean(), rtol=1e-6)
    assert best.n_cut_short == sum(n < max(n_met) for n in n_met) > 0
    assert best.n_trials == 10
    assert best.numbers.keys() == set(envs.describe(config.env).terms)


def test_the_search_for_a_mix_begins_with_the_best_of_the_grid(
    tiny_config: ExperimentConfig, policy: TrainedActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, agents = ablated(tiny_config, grid_points=4, n_select_seeds=4), Agents(policy)
    raced = race_mixes(selection_of(config, agents), {})
    order = sorted(range(10), key=lambda i: (-len(raced.scores[i]), -raced.scores[i].mean))
    given: list[Any] = []
    monkeypatch.setattr("hierarchy.arms.fixed.tuned", lambda selection, score, suggest, first: given.extend(first))
    arms_of(config.env)["tuned_static"].needs[0].find(selection_of(config, agents), {"race": raced})
    assert given == [raced.mixes[i] for i in order[:3]]
    assert {len(scores) for scores in raced.scores} == {1, 2, 4}


def test_mixes_race_on_the_same_seeds(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    config, watching = ablated(tiny_config, grid_points=4, n_select_seeds=8), Watching()
    selection = Selection(config, envs.describe(config.env), Agents(policy), Jobs(watching))
    race_mixes(selection, {})
    assert [batch.env_ids for batch in watching.batches][:2] == [[0, 1] * 10, [2, 3] * 5]
    assert {batch.role for batch in watching.batches} == {"select"}


def test_processes_find_what_one_process_finds(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    config = ablated(tiny_config, tuned_static=True, heuristics=False, oracles=False, n_trials=20, n_trial_seeds=4)
    arms = {name: arms_of(config.env)[name] for name in ("fixed_best", "tuned_static")}
    told: list[int] = []
    with Processes(n_workers=2) as workers:
        ours = Ablation(config, Agents(policy), workers, told.append).find(arms)
    theirs = Ablation(config, Agents(policy), Inline()).find(arms)
    for name in arms:
        assert ours[name].numbers == theirs[name].numbers
        assert_allclose(ours[name].mean, theirs[name].mean, rtol=1e-9)
        assert ours[name].n_lower_steps == theirs[name].n_lower_steps
