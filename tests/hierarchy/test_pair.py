"""A pair decides from measurements: alone it agrees with the batch, and it goes on from a state as if nothing had been."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.simulation import Simulation
from hierarchy.building import upper
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Pair, Upper
from hierarchy.protocols import TrainedActor
from hierarchy.sb3 import SB3Learner

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


def test_a_pair_goes_on_from_a_state(tiny_config: ExperimentConfig, policy: TrainedActor, upper_agent: SB3Learner) -> None:
    simulation = upper.simulation(tiny_config, "evaluate", [0, 1], N_WINDOWS)
    pair = pair_over(simulation, tiny_config, policy, upper_agent)
    for _ in range(tiny_config.upper.meta_period + 1):
        simulation.advance(pair.decide(simulation.measurements))
    states = simulation.get_state(), pair.get_state()
    expected = []
    for _ in range(2 * tiny_config.upper.meta_period):
        expected.append(pair.decide(simulation.measurements).copy())
        simulation.advance(expected[-1])
    simulation.set_state(states[0])
    pair.set_state(states[1])
    for weights in expected:
        assert_array_equal(pair.decide(simulation.measurements), weights)
        simulation.advance(weights)
    assert len(np.unique(expected)) > 2
