"""What comes off beside the mix: the price of moving weights, the soft constraint on late flows, shaping."""

from __future__ import annotations

import numpy as np
import pytest

import envs
from envs.core.terms import RewardTerm
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import Actions, LoadBalancingConfig, Regimes, Reward, Workload
from envs.load_balancing.rewards.penalties import penalty, potential
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import everyone, random_steps, run, servers, started, steady


def penalty_of(config: LoadBalancingConfig) -> RewardTerm:
    charge = penalty(config, Weighting(config, 1))
    assert charge is not None
    return charge


def paid_for(charge: RewardTerm, world: LoadBalancing) -> np.ndarray:
    """What a penalty takes off for the last step, as an addition to the reward ``(n_envs,)``."""
    return -charge.extract(world.measurements, everyone(world))


def begin(charge: RewardTerm, world: LoadBalancing) -> None:
    """Begin an episode in all envs, for which nothing is paid yet."""
    charge.before_reset(world.measurements, everyone(world))
    world.reset_dynamics(everyone(world))
    assert (paid_for(charge, world) == 0).all()


def test_switching_costs_the_mean_change_of_the_weights() -> None:
    """Of all servers and backends: what is asked of two servers in two backends, server by server."""
    config = LoadBalancingConfig(pool=servers([1, 1]), actions=Actions(mode="weights"), reward=Reward(switching_cost=0.6))
    batch, paid = envs.make(config, 1), []
    batch.reset()
    for action in ([1.0] * 4, [1.0, 1.0, 0.5, 0.5], [0.0, 1.0, 1.0, 0.5], [0.0, 1.0, 1.0, 0.5], [0.0, 1.0, 0.0, 0.0]):
        _, reward, _, _, info = batch.step(np.array([action]))
        paid.append(float(reward[0] - (batch.context * info["reward_vector"]).sum(-1)[0]))
    assert paid == pytest.approx([0.0, -0.6 * 0.25, -0.6 * 0.375, 0.0, -0.6 * 0.125])


def test_a_share_of_late_flows_up_to_the_limit_is_free_and_above_it_is_not() -> None:
    config = LoadBalancingConfig(
        pool=servers([4, 4]), workload=steady(0.9, deadline_s=1.0), reward=Reward(late_limit=0.3, late_penalty=2.0)
    )
    world, charge = started(config, 8), penalty_of(config)
    penalised = 0
    for _ in range(100):
        run(world, 1)
        late_share = np.minimum(world.measurements.step.late.sum(-1) / world.measurements.step.arrivals_per_step, 1.0)
        assert np.allclose(paid_for(charge, world), -2.0 * np.maximum(late_share - 0.3, 0.0))
        penalised += (late_share > 0.3).sum()
    assert 0 < penalised < 800


def test_without_a_limit_nothing_is_added() -> None:
    config = LoadBalancingConfig(workload=steady(3.0))
    assert penalty(config, Weighting(config, 1)) is None
    for batch, reward, info in random_steps(config):
        assert np.array_equal(reward, (batch.context * info["reward_vector"]).sum(-1))


def test_shaping_adds_the_discounted_change_of_the_backlog() -> None:
    """It telescopes: what an episode adds, discounted, depends on its first and last state alone."""
    gamma = 0.95
    config = LoadBalancingConfig(
        reward=Reward(shaping=True, shaping_gamma=gamma), workload=Workload(regimes=Regimes(loads=[0.9]))
    )
    world, charge = started(config, 4), penalty_of(config)
    begin(charge, world)
    first, total = potential(world.measurements).copy(), np.zeros(4)
    for step in range(50):
        run(world, 1)
        total += gamma**step * paid_for(charge, world)
    assert (first == 0).all()
    assert (potential(world.measurements) < 0).any()
    assert np.allclose(total, gamma**50 * potential(world.measurements) - first)


def test_a_reset_takes_the_potential_back_to_that_of_an_empty_pool() -> None:
    config = LoadBalancingConfig(reward=Reward(shaping=True), workload=Workload(regimes=Regimes(loads=[2.0])))
    world, charge = started(config, 2), penalty_of(config)
    begin(charge, world)
    paid_for(charge, run(world, 30))
    begin(charge, world)
    run(world, 1)
    assert np.allclose(paid_for(charge, world), config.reward.shaping_gamma * potential(world.measurements))
