"""A balancer that both agents decide for, and what it takes in."""

from __future__ import annotations

import numpy as np

import envs
from envs.core.arrays import Array, FloatArray, IntArray
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.accounts import ARRIVED, COMPLETED, IN_FLIGHT, LATENCY_S
from envs.load_balancing.world import LoadBalancing
from hierarchy.config import ExperimentConfig
from runs.benchmarks.kernels import take_in
from runs.benchmarks.serve import Balancer


def answers(seed: int, n: int = 40) -> tuple[IntArray, FloatArray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2, n), rng.exponential(0.1, n)


def test_answers_are_measured_by_server_and_none_is_counted_twice() -> None:
    simulation = envs.simulate(LoadBalancingConfig(), 1)
    simulation.reset()
    assert isinstance(simulation.dynamics, LoadBalancing)
    servers, latency_s = answers(0)
    state = simulation.dynamics.state
    totals = (state.counts, state.times, state.histogram, state.sums)
    take_in(state.reservoir, state.streams, *totals, state.features, servers, latency_s, 1.0)
    measured = simulation.measurements
    means = measured.feature("fct_mean")[0]
    for server in (0, 1):
        np.testing.assert_allclose(means[server], latency_s[servers == server].mean(), rtol=1e-5)
    assert (means[2:] == 0.0).all()
    totals = measured.counts[0].sum(0)
    assert (totals[ARRIVED], totals[COMPLETED], totals[IN_FLIGHT]) == (40, 40, 0)
    assert measured.histogram.sum() == 40
    np.testing.assert_allclose(measured.times[0].sum(0)[LATENCY_S], latency_s.sum())


def test_a_decision_follows_from_the_answers(tiny_config: ExperimentConfig) -> None:
    def decided(*seeds: int) -> list[Array]:
        balancer = Balancer(tiny_config)
        return [balancer.decide(*answers(seed)) for seed in seeds]

    once, again = decided(*range(30)), decided(*range(30))
    np.testing.assert_array_equal(once, again)
    assert np.shape(once) == (30, 1, 2, 2)
    assert (np.max(once, axis=-1) > 0).all()
