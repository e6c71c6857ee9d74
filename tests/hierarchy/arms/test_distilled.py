"""A tree takes the upper agent's place, fitted on some selection seeds and tried on others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import envs
from hierarchy.arms import ARMS, Agents, ablation
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.distilled import HELD_OUT, find_tree, n_tree_steps, watched
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.selection import Selection
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes
from hierarchy.explaining.tree import Tree, fidelity
from hierarchy.protocols import TrainedActor
from hierarchy.sb3.learner import SB3Learner

N_SEEDS = 8


class Turning:
    """An upper agent that goes by the context in force: latency first after fairness first, else fairness first."""

    def start(self, n_envs: int) -> Turning:
        return self

    def reset(self, mask: np.ndarray | None = None) -> None: ...

    def act(self, observation: np.ndarray) -> np.ndarray:
        return np.where(observation[:, [-3]] > 0.5, [0.1, 0.8, 0.1], [0.7, 0.2, 0.1])


@pytest.fixture
def config(tiny_config: ExperimentConfig) -> ExperimentConfig:
    settings = {"n_select_seeds": N_SEEDS, "heuristics": False, "oracles": False}
    return dataclasses.replace(tiny_config, ablation=dataclasses.replace(tiny_config.ablation, **settings))


def selection_of(config: ExperimentConfig, agents: Agents) -> Selection:
    return Selection(config, envs.describe(config.env), agents, Jobs(Inline()))


def test_a_tree_of_an_agent_that_is_one_does_what_the_agent_does(config: ExperimentConfig, policy: TrainedActor) -> None:
    agents = Agents(policy, Turning())  # type: ignore[arg-type]
    arms = {name: ARMS[name] for name in ("learned", "distilled")}
    run = Ablation(config, agents, Inline())
    values = run.find(arms)
    tree: Tree = values["tree"]
    assert (tree.r2, tree.l1) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-12))
    assert [tree.features[one] for one in tree.feature if one >= 0] in [["context/fairness"], ["context/latency"]]
    ours, theirs = (run.play(arms, values)[name] for name in arms)
    assert ours is not None
    assert theirs is not None
    assert_allclose(ours.contexts, theirs.contexts, atol=1e-12)
    assert len(np.unique(ours.contexts.round(6), axis=0)) > 1
    assert_allclose(ours.objective, theirs.objective, rtol=1e-6)


def test_it_is_tried_on_seeds_that_it_was_not_fitted_to(
    config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner
) -> None:
    agents = Agents(policy, upper_agent.actor)
    selection = selection_of(config, agents)
    tree = find_tree(selection, {})
    n_windows, held_out = config.ablation.select_windows, range(N_SEEDS, N_SEEDS + N_SEEDS // HELD_OUT)
    assert tree.n_windows[0] == N_SEEDS * n_windows
    assert tree.n_held_out == len(held_out) * n_windows
    features, mixes = watched(selection_of(config, agents), held_out)
    assert (tree.r2, tree.l1) == fidelity(tree, features, mixes)
    fitted_to = watched(selection_of(config, agents), range(N_SEEDS))
    assert fidelity(tree, *fitted_to) != (tree.r2, tree.l1)
    assert tree.value[0] == pytest.approx(fitted_to[1].mean(0))


def test_what_is_watched_is_what_the_agent_goes_by_and_sets(
    config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner
) -> None:
    selection = selection_of(config, Agents(policy, upper_agent.actor))
    features, mixes = watched(selection, range(3))
    shape = (config.ablation.select_windows, 3, -1)
    features, mixes = features.reshape(shape), mixes.reshape(shape)
    assert_allclose(features[0, :, -3:], 1 / 3)
    assert_allclose(features[1:, :, -3:], mixes[:-1])


def test_the_steps_are_those_that_were_announced(
    config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner
) -> None:
    selection = selection_of(config, Agents(policy, upper_agent.actor))
    tree = find_tree(selection, {})
    announced = n_tree_steps(config, envs.describe(config.env))
    assert tree.n_lower_steps == selection.n_steps == announced
    assert announced == (N_SEEDS + N_SEEDS // HELD_OUT) * Selection.steps_per_candidate(config, 1)


def test_a_tree_is_fitted_wherever_the_job_runs(
    config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner
) -> None:
    agents, arms = Agents(policy, upper_agent.actor), {"distilled": ARMS["distilled"]}
    with Processes(n_workers=2) as workers:
        ours = Ablation(config, agents, workers).find(arms)["tree"]
    assert ours == Ablation(config, agents, Inline()).find(arms)["tree"]


@pytest.fixture
def tree(config: ExperimentConfig, policy: TrainedActor) -> Tree:
    return find_tree(selection_of(config, Agents(policy, Turning())), {})  # type: ignore[arg-type]


def test_a_tree_is_kept_as_plain_values_and_means_nothing_over_other_features(config: ExperimentConfig, tree: Tree) -> None:
    plain = json.loads(json.dumps(ablation.to_json(config, {"tree": tree})))
    assert ablation.from_json(config, plain) == {"tree": tree}
    assert ablation.of_results({"tree": tree}) == {"tree": plain["tree"]}
    changes: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
        lambda kept: {**kept, "features": ["load", *kept["features"][1:]]},
        lambda kept: {**kept, "terms": kept["terms"][::-1]},
    ]
    for change in changes:
        assert ablation.from_json(config, {"tree": change(plain["tree"])}) == {}


def test_it_can_be_left_out_and_its_depth_be_set(config: ExperimentConfig, policy: TrainedActor) -> None:
    def ablated(**settings: Any) -> ExperimentConfig:
        return dataclasses.replace(config, ablation=dataclasses.replace(config.ablation, **settings))

    spec = envs.describe(config.env)
    assert "distilled" in ablation.wanted_arms(config, spec)
    assert "distilled" not in ablation.wanted_arms(ablated(distilled=False), spec)
    agents = Agents(policy, upper=NoisyMixes())  # type: ignore[arg-type]
    assert find_tree(selection_of(ablated(tree_depth=1), agents), {}).n_leaves == 2
    assert find_tree(selection_of(ablated(tree_depth=2), agents), {}).n_leaves in (3, 4)


class NoisyMixes(Turning):
    """Mixes that no tree holds."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def act(self, observation: np.ndarray) -> np.ndarray:
        return self._rng.dirichlet([1.0, 1.0, 1.0], len(observation))
