"""One queueing model in four simulators: four servers of eight workers each, first come first served, shortest queue.

Poisson arrivals at 80 % of the capacity, exponential service of 0.1 s, ties broken at random. Every simulator starts empty,
runs to a horizon and says how many flows were answered and their mean latency, replication by replication.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import envs
from envs.core.jit import inlined, kernel
from envs.core.rng import ARRIVALS, DISPATCH, exponential, integer, streams
from envs.load_balancing.config import LoadBalancingConfig, Regimes, ServerPool, Workload, WorkloadClass
from envs.load_balancing.kernel import accounts
from envs.load_balancing.rules import RULES

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
    flow = WorkloadClass(mean_work_s=MEAN_WORK_S, deadline_s=1.0, value_usd=0.0, penalty_usd=0.0)
    regimes = Regimes(loads=[LOAD], interactive_shares=[1.0])
    workload = Workload(regimes=regimes, interactive=flow, batch=flow, work="exponential")
    return LoadBalancingConfig(pool=pool, workload=workload, dt_s=DT_S)


def metabalance(n: int, horizon_s: float, seed: int) -> Outcome:
    """This project's world, with everything it keeps: features, histograms, classes, deadlines, costs."""
    rule = RULES["lsq"]
    world = rule.configured(config())
    simulation, controller = envs.simulate(world, n, seed), rule.start(world, n)
    simulation.reset()
    everyone, measurements = np.ones(n, np.bool_), simulation.measurements
    for _ in range(round(horizon_s / DT_S)):
        simulation.dynamics.step_dynamics(controller.decide(measurements), everyone)
    counts, times = measurements.counts.sum(1), measurements.times.sum(1)
    answered = counts[:, accounts.COMPLETED]
    return Outcome(int(answered.sum()), (times[:, accounts.LATENCY_S] / answered).tolist())


@inlined
def _push(heap, n, key):  # type: ignore[no-untyped-def]
    i = n
    while i > 0 and heap[(i - 1) // 2] > key:
        heap[i] = heap[(i - 1) // 2]
        i = (i - 1) // 2
    heap[i] = key


@inlined
def _pop(heap, n):  # type: ignore[no-untyped-def]
    key, i = heap[n - 1], 0
    while 2 * i + 1 < n - 1:
        child = 2 * i + 1
        if child + 1 < n - 1 and heap[child + 1] < heap[child]:
            child += 1
        if key <= heap[child]:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key


@inlined
def _shortest(n_held, stream):  # type: ignore[no-untyped-def]
    best, n_ties = 0, 1
    for server in range(1, n_held.shape[0]):
        if n_held[server] < n_held[best]:
            best, n_ties = server, 1
        elif n_held[server] == n_held[best]:
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    return best


@kernel
def _floor(n_workers, rate_hz, mean_s, horizon_s, all_streams, ends, free_s, n_held, out):  # type: ignore[no-untyped-def]
    """First come first served needs no queue: a flow starts when the first of its server's workers is free."""
    for env in range(out.shape[0]):
        t, n_flows, latency_s, stream = 0.0, 0, 0.0, all_streams[env]
        n_held[:] = 0
        free_s[:] = 0.0
        while True:
            t += exponential(stream[ARRIVALS], 1.0 / rate_hz)
            if t > horizon_s:
                break
            for server in range(n_held.shape[0]):
                while n_held[server] > 0 and ends[server, 0] <= t:
                    _pop(ends[server], n_held[server])
                    n_held[server] -= 1
            server = _shortest(n_held, stream[DISPATCH])
            worker = 0
            for other in range(1, n_workers):
                if free_s[server, other] < free_s[server, worker]:
                    worker = other
            end_s = max(t, free_s[server, worker]) + exponential(stream[ARRIVALS], mean_s)
            free_s[server, worker] = end_s
            _push(ends[server], n_held[server], end_s)
            n_held[server] += 1
            if end_s <= horizon_s:
                n_flows += 1
                latency_s += end_s - t
        out[env, 0], out[env, 1] = n_flows, latency_s


def floor(n: int, horizon_s: float, seed: int) -> Outcome:
    """The same loop compiled without features, classes, deadlines, prices or steps: what a simulator can't do without."""
    out = np.zeros((n, 2))
    ends, free_s = np.zeros((N_SERVERS, MAX_FLOWS)), np.zeros((N_SERVERS, N_WORKERS))
    n_held = np.zeros(N_SERVERS, np.int64)
    _floor(N_WORKERS, RATE_HZ, MEAN_WORK_S, horizon_s, streams(seed, "train", range(n)), ends, free_s, n_held, out)
    return Outcome(int(out[:, 0].sum()), (out[:, 1] / out[:, 0]).tolist())


def simpy(n: int, horizon_s: float, seed: int) -> Outcome:
    """SimPy: a process per flow, a resource per server."""
    import simpy as library

    found = [_simpy_once(library, horizon_s, random.Random(f"{seed}/{i}")) for i in range(n)]
    return Outcome(sum(len(latencies) for latencies in found), [float(np.mean(latencies)) for latencies in found])


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


def _ciw_once(library: Any, horizon_s: float) -> NDArray[np.float64]:
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
