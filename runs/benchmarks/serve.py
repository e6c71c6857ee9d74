"""One decision of the deployed pair: from answers measured to weights set, both networks and all features included."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np

from envs.core.arrays import Array, FloatArray, IntArray
from envs.load_balancing.world import LoadBalancing
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Pair, Upper
from hierarchy.upper.meta_env import run_window
from runs.benchmarks.kernels import take_in
from runs.benchmarks.plan import Case, Plan, Target

N_ANSWERS = 25
N_WINDOWS = 2
N_DECISIONS = 4000


class Balancer:
    """One balancer that both agents decide for; the upper one sets the context anew at every decision.

    A window of the simulator goes before, so that reservoirs are filled.
    """

    def __init__(self, config: ExperimentConfig) -> None:
        actor = lower.build(config).actor
        simulation = upper.simulation(config, "train", [0], N_WINDOWS)
        assert isinstance(simulation.dynamics, LoadBalancing)
        self._world = simulation.dynamics
        setter = Upper(upper.build(config, actor).actor.start(1))
        self._pair = Pair(simulation.world, actor.start(1), setter, period=1)
        simulation.reset()
        run_window(simulation, self._pair, config.upper.meta_period)
        state = self._world.state
        totals = (state.counts, state.times, state.histogram, state.sums)
        self._filled = (state.reservoir, state.streams, *totals, state.features)
        self._dt_s, self._now_s = config.env.dt_s, config.upper.meta_period * config.env.dt_s
        gc.collect()
        gc.freeze()  # what is here stays: a collection need not go over it in the middle of a decision

    def decide(self, servers: IntArray, latency_s: FloatArray) -> Array:
        """Weights ``(1, n_servers)`` for the next interval, given the answers ``(n,)`` of the last one."""
        self._now_s += self._dt_s
        take_in(*self._filled, servers, latency_s, self._now_s)
        return self._pair.decide(self._world.measurements)


def decisions_ms(quantile: float, scale: float) -> Callable[[], float]:
    """A quantile of the time of a decision."""
    made: list[Balancer] = []

    def measure() -> float:
        if not made:
            made.append(Balancer(ExperimentConfig()))
        rng = np.random.default_rng(0)
        elapsed_s = []
        for _ in range(max(10, round(scale * N_DECISIONS))):
            servers, latency_s = rng.integers(0, 4, N_ANSWERS), rng.exponential(0.1, N_ANSWERS)
            started_s = time.perf_counter()
            made[0].decide(servers, latency_s)
            elapsed_s.append(time.perf_counter() - started_s)
        return float(1e3 * np.quantile(elapsed_s, quantile))

    return measure


def plan(scale: float) -> Plan:
    """Median and 99th percentile."""
    return Plan(
        cases=[
            Case("decision, median", "ms", decisions_ms(0.5, scale)),
            Case("decision, p99", "ms", decisions_ms(0.99, scale)),
        ],
        targets={"decision, p99": Target("at most", 1.0)},
    )
