"""One queueing model in four simulators: four servers of eight workers each, first come first served, shortest queue.

Poisson arrivals at 80 % of the capacity, exponential service of 0.1 s, ties broken at random. Every simulator starts empty,
runs to a horizon and says how many flows were answered and their mean latency, replication by replication.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.rng import streams
from envs.load_balancing.config import LoadBalancingConfig, Poisson, Regimes, ServerPool, Workload, WorkloadClass
from envs.load_balancing.kernel import accounts
from runs.benchmarks.kernels import bare_loop

N_SERVERS, N_WORKERS = 4, 8
MEAN_WORK_S = 0.1
LOAD = 0.8
RATE_HZ = LOAD * N_SERVERS * N_WORKERS / MEAN_WORK_S
MAX_FLOWS = 512
DT_S = 25 / RATE_HZ
"""25 flows a step, for the one that has steps."""


class Outcome(NamedTuple):
    """Of all replications together."""

    n_flows: int
    mean_latency_s: list[float]  # per replication


Simulator = Callable[[int, float, int], Outcome]
"""Called with the number of replications, the horizon in seconds and a seed."""


def config() -> LoadBalancingConfig:
    """The model as a world."""
    pool = ServerPool(
        cores=[N_WORKERS] * N_SERVERS,
        speed=[1.0] * N_SERVERS,
        price_usd_per_h=[0.1] * N_SERVERS,
        memory_gb=[8.0] * N_SERVERS,
        service="fcfs",
        max_flows=MAX_FLOWS,
    )
    flow = WorkloadClass(mean_work_s=MEAN_WORK_S, deadline_s=1.0, value_usd=1.0, penalty_usd=0.0)
    regimes = Regimes(loads=[LOAD], interactive_shares=[1.0])
    workload = Workload(arrivals=Poisson(), regimes=regimes, interactive=flow, batch=flow, work="exponential", retries=0.0)
    return LoadBalancingConfig(pool=pool, workload=workload, dt_s=DT_S)


def metabalance(n: int, horizon_s: float, seed: int) -> Outcome:
    """This project's world, with everything it keeps: features, histograms, classes, deadlines, costs."""
    n_steps = round(horizon_s / DT_S)
    world = replace(config(), episode_steps=n_steps + 1)  # it does not end: what is in flight has no latency yet
    rule = envs.rules(world)["lsq"]
    simulation = envs.simulate(replace(rule.configured(world), telemetry=world.telemetry), n, seed)
    simulation.reset()
    controller = rule.start(world, n)
    for _ in range(n_steps):
        simulation.advance(controller.decide(simulation.measurements))
    counts, times = simulation.measurements.counts.sum(1), simulation.measurements.times.sum(1)
    answered = counts[:, accounts.COMPLETED]
    return Outcome(int(answered.sum()), (times[:, accounts.LATENCY_S] / answered).tolist())


def floor(n: int, horizon_s: float, seed: int) -> Outcome:
    """The same loop compiled without features, classes, deadlines, prices or steps: what a simulator can't do without."""
    out = np.zeros((n, 2))
    ends, free_s = np.zeros((N_SERVERS, MAX_FLOWS)), np.zeros((N_SERVERS, N_WORKERS))
    n_held = np.zeros(N_SERVERS, np.int64)
    bare_loop(N_WORKERS, RATE_HZ, MEAN_WORK_S, horizon_s, streams(seed, "train", range(n)), ends, free_s, n_held, out)
    return Outcome(int(out[:, 0].sum()), (out[:, 1] / out[:, 0]).tolist())


def simpy(n: int, horizon_s: float, seed: int) -> Outcome:
    """SimPy: a process per flow, a resource per server."""
    import simpy as library

    runs = [_simpy_once(library, horizon_s, random.Random(f"{seed}/{i}")) for i in range(n)]
    return Outcome(sum(map(len, runs)), [float(np.mean(latencies)) for latencies in runs])


def _simpy_once(library: Any, horizon_s: float, rng: random.Random) -> list[float]:
    env = library.Environment()
    servers = [library.Resource(env, N_WORKERS) for _ in range(N_SERVERS)]
    latencies: list[float] = []

    def flow() -> Any:
        arrival_s = env.now
        held = [server.count + len(server.queue) for server in servers]
        least = min(held)
        server = servers[rng.choice([i for i, count in enumerate(held) if count == least])]
        with server.request() as request:
            yield request
            yield env.timeout(rng.expovariate(1.0 / MEAN_WORK_S))
        latencies.append(env.now - arrival_s)

    def arrivals() -> Any:
        while True:
            yield env.timeout(rng.expovariate(RATE_HZ))
            env.process(flow())

    env.process(arrivals())
    env.run(until=horizon_s)
    return latencies


def ciw(n: int, horizon_s: float, seed: int) -> Outcome:
    """Ciw: a node that routes, and a node per server."""
    import ciw as library

    means, n_flows = [], 0
    for i in range(n):
        library.seed(seed * 1000 + i)
        latencies = _ciw_once(library, horizon_s)
        means.append(float(latencies.mean()))
        n_flows += len(latencies)
    return Outcome(n_flows, means)


def _ciw_once(library: Any, horizon_s: float) -> FloatArray:
    places = list(range(2, N_SERVERS + 2))
    routers = [library.routing.LoadBalancing(destinations=places, tie_break="random")]
    network = library.create_network(
        arrival_distributions=[library.dists.Exponential(RATE_HZ), *[None] * N_SERVERS],
        service_distributions=[
            library.dists.Deterministic(0.0),
            *[library.dists.Exponential(1.0 / MEAN_WORK_S) for _ in places],
        ],
        number_of_servers=[float("inf"), *[N_WORKERS] * N_SERVERS],
        routing=library.routing.NetworkRouting(routers=[*routers, *[library.routing.Leave() for _ in places]]),
    )
    simulation = library.Simulation(network)
    simulation.simulate_until_max_time(horizon_s)
    records = simulation.get_all_records(only=["service"])
    return np.array([record.exit_date - record.arrival_date for record in records if record.node > 1])


SIMULATORS: dict[str, Simulator] = {"metabalance": metabalance, "floor": floor, "simpy": simpy, "ciw": ciw}
"""Every simulator of the model, by name."""
