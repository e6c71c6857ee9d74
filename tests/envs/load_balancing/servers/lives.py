"""Servers on which flows are put by hand, for the tests of a server's life."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.load_balancing.config import LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel import accounts
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import advance, same_weights, servers, started, steady

RARELY_HZ = 1e-12


def quiet(pool: ServerPool, dt_s: float = 0.25, n_envs: int = 1) -> LoadBalancing:
    """A world where nothing arrives but what a test puts in."""
    return started(LoadBalancingConfig(pool=pool, workload=steady(0.0, interactive_share=0.5), dt_s=dt_s), n_envs)


def busy(pool: ServerPool, load: float = 0.5, n_envs: int = 8, dt_s: float = 0.25, **fields: object) -> LoadBalancing:
    config = LoadBalancingConfig(pool=pool, workload=steady(load), dt_s=dt_s)
    return started(replace(config, **fields), n_envs)


def latencies_s(world: LoadBalancing) -> list[float]:
    """Summed latencies of the classes of env 0: exact for a class with one flow."""
    return [float(value) for value in world.state.times[0, :, accounts.LATENCY_S]]


def billed_s(world: LoadBalancing, plan: list[list[float]]) -> np.ndarray:
    """Seconds billed per server of env 0, summed over a plan of weights."""
    total = np.zeros(world.config.pool.n_servers)
    for weights in plan:
        advance(world, same_weights(world, weights))
        total += world.state.servers.billed_s[0]
    return total


def faulty(**fields: object) -> ServerPool:
    return servers([2, 2], max_flows=256, **{"failure_rate_hz": RARELY_HZ, "repair_s": 1e12, "detection_s": 2.0, **fields})
