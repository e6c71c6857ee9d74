"""One pool behind more and more balancers: what a step costs, and what each loses by seeing its own requests alone.

All is a ratio to one balancer before the same servers, which sees everything, over the same requests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.simulation import Simulation
from envs.load_balancing.config import DispatchConfig, LeastConn, Sed
from envs.load_balancing.stories import SIX_SERVERS, shared
from runs.benchmarks.plan import Case, Curve, Plan

LOAD = 0.85
BALANCERS = (1, 2, 4, 8, 16, 32, 64)
N_ENVS = 16
N_STEPS = 2000
N_BLOCKS = 5
FLATTER = 0.6
RULES: dict[str, tuple[DispatchConfig, float]] = {
    "SED": (Sed(), 1.0),
    f"SED, weights capacity^{FLATTER}": (Sed(), FLATTER),
    "leastconn": (LeastConn(), 1.0),
}
"""Dispatch rules, and the power of nominal capacities that is their weight."""


def begun(n_balancers: int, dispatch: DispatchConfig) -> Simulation:
    """Episodes that have just begun."""
    config = replace(shared(n_balancers, [LOAD]), dispatch=dispatch)
    simulation = envs.simulate(replace(config, telemetry=replace(config.telemetry, samples=False)), N_ENVS)
    simulation.reset(seed=0)
    return simulation


def weights(n_balancers: int, power: float) -> FloatArray:
    """Those of all balancers alike ``(n_envs, n_balancers, n_servers)``."""
    capacity: FloatArray = SIX_SERVERS.capacity**power
    return np.tile(capacity, (N_ENVS, n_balancers, 1))


def latency_ms(n_balancers: int, rule: str, scale: float) -> float:
    """Mean over envs."""
    dispatch, power = RULES[rule]
    simulation, of_all = begun(n_balancers, dispatch), weights(n_balancers, power)
    for _ in range(max(1, round(scale * N_STEPS))):
        simulation.advance(of_all)
    return float(simulation.statistics()["latency_mean_ms"].mean())


def steps_per_s(n_balancers: int, scale: float) -> Callable[[], float]:
    """Env steps a second, measurements of every balancer included."""
    running: list[Simulation] = []
    n_steps = max(1, round(scale * N_STEPS / N_BLOCKS))

    def measure() -> float:
        if not running:
            running.append(begun(n_balancers, Sed()))
        simulation, of_all = running[0], weights(n_balancers, 1.0)
        started_s = time.perf_counter()
        for _ in range(n_steps):
            simulation.advance(of_all)
        return N_ENVS * n_steps / (time.perf_counter() - started_s)

    return measure


def speed(n_balancers: int, scale: float) -> Callable[[], float]:
    """Steps a second over those with one balancer, measured in turn."""
    ours, alone = steps_per_s(n_balancers, scale), steps_per_s(1, scale)
    return lambda: float(np.median([ours() / alone() for _ in range(N_BLOCKS)]))


def slowness(n_balancers: int, rule: str, scale: float) -> Callable[[], float]:
    """Mean latency over that of SED which sees everything."""
    return lambda: latency_ms(n_balancers, rule, scale) / latency_ms(1, "SED", scale)


def plan(scale: float) -> Plan:
    """Steps a second with one balancer and with many; latencies and speed as curves over their number."""
    lines = {f"latency: {rule}": {n: slowness(n, rule, scale) for n in BALANCERS} for rule in RULES}
    return Plan(
        cases=[Case(f"{n} balancers", "env steps/s", steps_per_s(n, scale)) for n in (BALANCERS[0], BALANCERS[-1])],
        curves=[
            Curve(
                "balancers",
                "balancers (1)",
                "over one balancer with SED (1)",
                {**lines, "speed: steps a second": {n: speed(n, scale) for n in BALANCERS}},
            )
        ],
    )
