"""How fast the world runs, and whether it is right: flows per second on one core."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

import envs
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.world import LoadBalancing
from runs.benchmarks.plan import Agreement, Case, Curve, Plan, Ratio, Target
from runs.benchmarks.queueing import SIMULATORS

FLOWS_PER_STEP = 25
N_ENVS = 128
WARM_STEPS = 100
HORIZON_S = 100.0
N_REPLICATIONS = 10
N_BATCH = {"metabalance": 32, "floor": 256, "simpy": 1, "ciw": 1}
"""Replications of the queueing model in one measurement."""
PEERS = ("simpy", "ciw")
SERVERS = (4, 16, 64, 256, 1024)
FLOWS_PER_MEASUREMENT = 1_500_000


def with_servers(config: LoadBalancingConfig, n_servers: int) -> LoadBalancingConfig:
    """The default pool, repeated, under a load that grows with it: 25 flows a step for every four servers."""
    pool, times = config.pool, n_servers // config.pool.n_servers
    pool = replace(
        pool,
        cores=list(pool.cores) * times,
        speed=list(pool.speed) * times,
        price_usd_per_h=list(pool.price_usd_per_h) * times,
        memory_gb=list(pool.memory_gb) * times,
    )
    workload = replace(config.workload, rate_hz=FLOWS_PER_STEP * times / config.dt_s)
    return replace(config, pool=pool, workload=workload)


def _running(n_servers: int, n_envs: int) -> tuple[LoadBalancing, Callable[[int], None]]:
    """A world in its stride, and what advances it."""
    config = with_servers(LoadBalancingConfig(), n_servers)
    simulation = envs.simulate(config, n_envs)
    everyone = simulation.reset(seed=0)
    dynamics = simulation.dynamics
    assert isinstance(dynamics, LoadBalancing)
    weights = np.tile(config.pool.capacity, (n_envs, config.n_backends, 1))

    def advance(n_steps: int) -> None:
        for _ in range(n_steps):
            dynamics.step_dynamics(weights, everyone)

    advance(WARM_STEPS)
    return dynamics, advance


def flows_per_s(n_servers: int, n_envs: int, scale: float) -> Callable[[], float]:
    """Flows per second of the whole kernel: features, histograms, classes, deadlines and costs."""
    running: list[tuple[LoadBalancing, Callable[[int], None]]] = []
    n_steps = max(1, round(scale * FLOWS_PER_MEASUREMENT / (FLOWS_PER_STEP * n_servers // 4 * n_envs)))

    def measure() -> float:
        if not running:
            running.append(_running(n_servers, n_envs))
        dynamics, advance = running[0]
        before = int(dynamics.state.counts[..., accounts.ARRIVED].sum())
        started_s = time.perf_counter()
        advance(n_steps)
        elapsed_s = time.perf_counter() - started_s
        return (int(dynamics.state.counts[..., accounts.ARRIVED].sum()) - before) / elapsed_s

    return measure


def _simulated(name: str, scale: float) -> Callable[[], float]:
    def measure() -> float:
        started_s = time.perf_counter()
        n_flows = SIMULATORS[name](N_BATCH[name], scale * HORIZON_S, 0).n_flows
        return n_flows / (time.perf_counter() - started_s)

    return measure


def _means(name: str, scale: float) -> Callable[[], list[float]]:
    return lambda: [1e3 * mean for mean in SIMULATORS[name](N_REPLICATIONS, scale * HORIZON_S, 1).mean_latency_s]


def plan(scale: float) -> Plan:
    """The world at 25 flows a step; one queueing model in four simulators; the cost of a flow against servers.

    Raises
    ------
    ModuleNotFoundError
        A simulator to compare with is not installed.
    """
    for library in PEERS:
        if find_spec(library) is None:
            raise ModuleNotFoundError(library)
    queues = [Case(f"queue: {name}", "flows/s", _simulated(name, scale)) for name in SIMULATORS]
    small, large = f"{SERVERS[0]} servers", f"{SERVERS[-1]:,} servers"
    return Plan(
        cases=[
            Case("world", "flows/s", flows_per_s(4, N_ENVS, scale)),
            *queues,
            Case(small, "flows/s", flows_per_s(SERVERS[0], _n_envs(SERVERS[0]), scale)),
            Case(large, "flows/s", flows_per_s(SERVERS[-1], _n_envs(SERVERS[-1]), scale)),
        ],
        targets={"world": Target("at least", 1.2e6)},
        ratios=[
            Ratio("queue: metabalance", "queue: simpy", Target("at least", 30)),
            Ratio("queue: metabalance", "queue: ciw", Target("at least", 140)),
            Ratio("queue: metabalance", "queue: floor"),
            Ratio(small, large, Target("at most", 4)),
        ],
        curves=[
            Curve(
                "flow_cost",
                "servers (1)",
                "time per flow (us)",
                {"25 flows a step per 4 servers": {n: _cost_us(n, scale) for n in SERVERS}},
            )
        ],
        agreements=[
            Agreement(f"mean latency, metabalance and {name}", "ms", _means("metabalance", scale), _means(name, scale))
            for name in SIMULATORS
            if name != "metabalance"
        ],
    )


def _n_envs(n_servers: int) -> int:
    """As many as give the same number of servers in all."""
    return SERVERS[-1] // n_servers


def _cost_us(n_servers: int, scale: float) -> Callable[[], float]:
    measure = flows_per_s(n_servers, _n_envs(n_servers), scale)
    return lambda: 1e6 / measure()
