"""Neither agent observes what is yet to come: equal pasts are observed alike, whatever their futures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_array_equal

import envs
from envs import LoadBalancingConfig
from envs.core.simulation import Simulation
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.redraw import redraw
from hierarchy.config import ExperimentConfig
from hierarchy.pair import meta_observation

Watch = Callable[[Simulation, Any], np.ndarray]


def config_of(config: ExperimentConfig) -> LoadBalancingConfig:
    """The tiny world with episodes that last."""
    world: LoadBalancingConfig = dataclasses.replace(config.env, episode_steps=1000)
    return world


def branched(config: LoadBalancingConfig, watch: Watch) -> tuple[np.ndarray, np.ndarray]:
    """What is observed of envs with equal pasts and other futures, and where nothing has happened since they parted."""
    n_envs, n_steps = 64, 12
    one, other = (envs.simulate(config, n_envs, 3) for _ in range(2))
    weights = np.ones((n_envs, 2, 2))
    one.reset(5)
    totals = one.totals()
    for _ in range(n_steps):
        one.advance(weights)
    other.set_state(one.get_state())
    dynamics: Any = other.dynamics
    dynamics.reseed(99)
    redraw(dynamics.params, dynamics.state)
    arrived = one.measurements.counts[..., accounts.ARRIVED].sum(-1)
    for simulation in (one, other):
        simulation.advance(weights)
    quiet = [simulation.measurements.counts[..., accounts.ARRIVED].sum(-1) == arrived for simulation in (one, other)]
    assert not np.array_equal(one.dynamics.state.source.time_s, dynamics.state.source.time_s)  # type: ignore[attr-defined]
    return np.stack([watch(simulation, totals) for simulation in (one, other)]), quiet[0] & quiet[1]


def both_observations(simulation: Simulation, totals: Any) -> np.ndarray:
    """What the lower and the upper agent observe, ``(n_envs, n)``."""
    world, contexts = simulation.world, np.full((simulation.n_envs, 3), 1 / 3)
    lower = world.observation_function.extract(simulation.measurements, np.ones(simulation.n_envs, np.bool_))
    return np.concatenate([lower, meta_observation(world, simulation.statistics(totals), contexts)], axis=1)


def test_the_future_is_not_seen(untracked_config: ExperimentConfig) -> None:
    (one, other), quiet = branched(config_of(untracked_config), both_observations)
    assert quiet.sum() > 5
    assert_array_equal(one[quiet], other[quiet])
    assert not np.array_equal(one[~quiet], other[~quiet])


def test_an_observation_of_what_comes_next_would_be_caught(untracked_config: ExperimentConfig) -> None:
    def with_foresight(simulation: Simulation, totals: Any) -> np.ndarray:
        state: Any = simulation.dynamics.state  # type: ignore[attr-defined]
        until_s = state.source.regime_until_s - state.clock_s
        return np.concatenate([both_observations(simulation, totals), until_s[:, None]], axis=1)

    (one, other), quiet = branched(config_of(untracked_config), with_foresight)
    assert not np.array_equal(one[quiet], other[quiet])
