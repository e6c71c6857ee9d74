"""A pair decides from measurements: alone it agrees with the batch, and it goes on from a state as if nothing had been."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.simulation import Simulation
from envs.load_balancing.actions import FOLLOW
from envs.load_balancing.config import Actions, BalancersConfig, LoadBalancingConfig
from envs.load_balancing.guiding import Guiding
from envs.load_balancing.objectives import Budget, Profit
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.pair import ContextSetter, Held, Pair, Upper, Window
from hierarchy.protocols import TrainedActor
from hierarchy.sb3.learner import SB3Learner

N_WINDOWS = 5


def pair_over(simulation: Simulation, config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner) -> Pair:
    n_envs = simulation.n_envs
    simulation.reset()
    setter = Upper(upper_agent.actor.start(n_envs))
    pair = Pair(simulation.world, policy.start(n_envs), setter, config.upper.meta_period)
    pair.reset()
    return pair


def test_a_pair_of_one_env_agrees_with_the_batch(
    tiny_config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner
) -> None:
    """The same measurements, row by row, give the same contexts and weights."""
    batch = upper.simulation(tiny_config, "evaluate", [0, 1, 2], N_WINDOWS)
    alone = upper.simulation(tiny_config, "evaluate", [1], N_WINDOWS)
    ours, theirs = (pair_over(one, tiny_config, policy, upper_agent) for one in (alone, batch))
    contexts = []
    while not batch.ended.all():
        weights, expected = ours.decide(alone.measurements), theirs.decide(batch.measurements)
        assert_allclose(weights[0], expected[1], atol=1e-6)
        assert_allclose(ours.context[0], theirs.context[1], atol=1e-6)
        contexts.append(theirs.context[1])
        alone.advance(expected[1:2])
        batch.advance(expected)
    assert len(np.unique(contexts, axis=0)) == N_WINDOWS, "contexts must change for this to be a test"


@pytest.mark.parametrize("objective", [Profit(), Budget(share=0.5, span_s=1.0, day_s=4.0)], ids=lambda one: one.name)
def test_a_pair_goes_on_from_a_state(tiny_config: ExperimentConfig, policy: TrainedActor, objective: Any) -> None:
    """Whatever its statistics add up."""
    config = replace(tiny_config, env=replace(tiny_config.env, objective=objective))
    simulation = upper.simulation(config, "evaluate", [0, 1], N_WINDOWS)
    pair = pair_over(simulation, config, policy, upper.build(config, policy))
    for _ in range(config.upper.meta_period + 1):
        simulation.advance(pair.decide(simulation.measurements))
    states = simulation.get_state(), pair.get_state()
    expected = []
    for _ in range(2 * config.upper.meta_period):
        expected.append(pair.decide(simulation.measurements).copy())
        simulation.advance(expected[-1])
    simulation.set_state(states[0])
    pair.set_state(states[1])
    for weights in expected:
        assert_array_equal(pair.decide(simulation.measurements), weights)
        simulation.advance(weights)
    assert len(np.unique(expected)) > 2


class Remembering(ContextSetter):
    """Keeps the statistics that it is given, and remembers how many windows there were."""

    uses_statistics = True

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.n_windows = 0

    def contexts(self, window: Window) -> np.ndarray:
        self.n_windows += 1
        self.seen.append(window.statistics)
        return window.context


def test_an_env_that_begins_anew_in_a_window_is_measured_from_there(
    tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    simulation = upper.simulation(tiny_config, "evaluate", [0, 1], N_WINDOWS)
    setter, period = Remembering(), tiny_config.upper.meta_period
    pair = Pair(simulation.world, policy.start(2), setter, period)
    simulation.reset()
    pair.reset()
    for step in range(2 * period + 1):
        if step == period + 1:
            first = np.array([True, False])
            simulation.reset(mask=first)
            pair.reset(first)
        simulation.advance(pair.decide(simulation.measurements))
    hours = tiny_config.env.dt_s / 3600
    assert_allclose(setter.seen[-1]["duration_h"], [(period - 1) * hours, period * hours])
    assert (setter.seen[-1]["arrival_rate_hz"] >= 0).all()


def test_the_state_of_a_pair_holds_what_its_upper_agent_remembers(
    tiny_config: ExperimentConfig, policy: TrainedActor
) -> None:
    simulation = upper.simulation(tiny_config, "evaluate", [0], N_WINDOWS)
    one, other = (Upper(memory) for memory in (Remembered(3), Remembered(5)))
    pairs = [Pair(simulation.world, policy.start(1), setter, 1) for setter in (one, other)]
    pairs[1].set_state(pairs[0].get_state())
    assert other.get_state() == {"n_calls": 3}


class Remembered:
    """An acting agent that remembers a number."""

    def __init__(self, n_calls: int) -> None:
        self.n_calls = n_calls

    def act(self, observation: np.ndarray) -> np.ndarray:
        return observation

    def reset(self, mask: np.ndarray | None = None) -> None:
        self.n_calls = 0


class Counting:
    """Holds a plan at first, follows the rule after that, and counts how often it is asked."""

    def __init__(self) -> None:
        self.n_asked = 0

    def act(self, observation: np.ndarray) -> np.ndarray:
        self.n_asked += 1
        return np.full((len(observation), 1), 1 if self.n_asked == 1 else FOLLOW)

    def reset(self, mask: np.ndarray | None = None) -> None: ...

    def get_state(self) -> dict[str, Any]:
        return {"n_asked": self.n_asked}

    def set_state(self, state: dict[str, Any]) -> None:
        self.n_asked = state["n_asked"]


def test_the_lower_agent_is_asked_when_an_action_is_listened_to() -> None:
    """And anew where an episode begins in between."""
    world = LoadBalancingConfig(actions=Actions(mode="guided", every_steps=3), dt_s=1.0)
    simulation, agent = envs.simulate(world, 2), Counting()
    simulation.reset()
    pair = Pair(simulation.world, agent, Held(np.array([0.0, 1.0, 0.0])), 4)
    pair.reset()
    asked, alone = [], []
    for step in range(9):
        if step == 7:
            simulation.reset(mask=np.array([True, False]))
            pair.reset(np.array([True, False]))
        simulation.advance(pair.decide(simulation.measurements))
        asked.append(agent.n_asked)
        actuator = simulation.world.actuator
        assert isinstance(actuator, Guiding)
        alone.append(bool((actuator.relative[1] > 0).sum() == actuator.relative.shape[1]))
    assert asked == [1, 1, 1, 2, 2, 2, 3, 4, 4]
    assert alone == [True] * 3 + [False] * 6, "the first plan has one server on in each backend"


class Each(ContextSetter):
    """Another context for every balancer."""

    def __init__(self, contexts: np.ndarray) -> None:
        self._contexts = contexts

    def contexts(self, window: Window) -> np.ndarray:
        return self._contexts


class Observing:
    """Keeps the contexts that its rows are given, and takes the first of all choices."""

    def __init__(self, n_choices: int) -> None:
        self._n_choices = n_choices
        self.contexts: np.ndarray = np.zeros(0)

    def act(self, observation: np.ndarray) -> np.ndarray:
        self.contexts = observation[:, -3:]
        return np.zeros((len(observation), self._n_choices), np.int64)

    def reset(self, mask: np.ndarray | None = None) -> None:
        pass

    def get_state(self) -> Any:
        return {}

    def set_state(self, state: Any) -> None:
        pass


def test_every_balancer_may_have_a_context_of_its_own() -> None:
    """Each row is given its own; what is said of an env is their mean."""
    config = LoadBalancingConfig(balancers=BalancersConfig(n=2), actions=Actions(mode="levels"))
    simulation = envs.simulate(config, 3)
    simulation.reset()
    contexts = np.random.default_rng(0).dirichlet(np.ones(3), (3, 2))
    lower = Observing(len(simulation.world.dynamics.action_space.nvec))  # type: ignore[attr-defined]
    pair = Pair(simulation.world, lower, Each(contexts), 4)
    pair.reset()
    pair.decide(simulation.measurements)
    assert_allclose(lower.contexts, contexts.reshape(6, 3), atol=1e-6)
    assert_allclose(pair.context, contexts.mean(1))
    pair.reset(np.array([True, False, False]))
    assert_allclose(pair.contexts[0], 1 / 3)
    assert_allclose(pair.contexts[1:], contexts[1:])


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 2, 3), (3, 2, 2)])
def test_contexts_of_other_envs_or_balancers_are_refused(shape: tuple[int, ...]) -> None:
    simulation = envs.simulate(LoadBalancingConfig(balancers=BalancersConfig(n=2)), 3)
    simulation.reset()
    pair = Pair(simulation.world, Observing(1), Each(np.full(shape, 1 / shape[-1])), 4)
    with pytest.raises(ValueError, match="context must"):
        pair.decide(simulation.measurements)
