"""The simulator against real servers behind a real HAProxy: how far their figures are apart over the same requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from envs import EnvConfig
from envs.core.arrays import FloatArray
from envs.core.validation import build
from envs.load_balancing.config import (
    DISPATCH_RULES,
    LoadBalancingConfig,
    Poisson,
    Regimes,
    ServerPool,
    Workload,
)
from envs.load_balancing.measurements import Measurements
from hierarchy.arms.arm import Arm
from hierarchy.arms.running import Batch, play
from hierarchy.arms.start import Agents, Start
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.live.running import LiveConfig
from runs.benchmarks.plan import Case, Plan, Target
from runs.testbed.episode import Player
from runs.testbed.requests import ScheduleConfig
from runs.testbed.sending import Sender

RULES = {"roundrobin": "wrr", "random(2)": "random", "leastconn": "leastconn"}
"""As HAProxy and the simulator call them."""
LOADS = (0.3, 0.5, 0.7)
SECONDS = 60.0
AT_MOST = {"latency_mean_ms": 5.0, "latency_p95_ms": 10.0, "latency_p99_ms": 10.0, "utilisation": 5.0}
"""Percent that figures may be apart."""


class Nominal:
    """All servers by their nominal capacity."""

    def __init__(self, n_backends: int) -> None:
        self._n_backends = n_backends

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, n_backends, S)``."""
        return np.repeat(measurements.capacity[:, None, :], self._n_backends, axis=1)


def experiment(rule: str, load: float) -> ExperimentConfig:
    """Unequal servers that serve first come, first served, and requests at one rate."""
    env = LoadBalancingConfig(
        pool=ServerPool(service="fcfs", boot_s=0.0),
        workload=Workload(arrivals=Poisson(), regimes=Regimes(loads=[load], interactive_shares=[0.5]), retries=0.0),
        dispatch=build(DISPATCH_RULES[rule], {}),
        dt_s=1.0,
    )
    config = ExperimentConfig()
    return replace(config, env=env, upper=replace(config.upper, meta_period=10))


def _start(start: Start) -> Any:
    assert isinstance(start.config.env, LoadBalancingConfig)
    return Nominal(start.config.env.n_backends)


def _as_it_is(env: EnvConfig, found: Mapping[str, Any]) -> EnvConfig:
    return env


ARM = Arm("rule", _start, configured=_as_it_is)


def figures(rule: str, load: float, seconds: float) -> dict[str, tuple[float, float]]:
    """Of the simulator and of real servers, by name."""
    config = experiment(rule, load)
    n_windows = round(seconds / config.env.dt_s / lower_steps_per_window(config))
    batch = Batch(config.env, "evaluate", [0], n_windows)
    simulated = play(config, Agents(), {}, ARM.start, batch, mixed=False).statistics
    with Sender() as sender:
        player = Player(config, Agents(), {}, LiveConfig(), sender)
        real = player.play(rule, ARM, ScheduleConfig(seconds=seconds, seed=config.seed), ()).episodes.statistics
    return {name: (float(simulated[name][0]), float(real[name][0])) for name in AT_MOST}


def plan(scale: float) -> Plan:
    """Every rule at every load, once: how far the figures of real servers are from those of the simulator, in percent."""
    seconds = max(10.0, round(scale * SECONDS / 10.0) * 10.0)

    @cache
    def both(rule: str, load: float) -> dict[str, tuple[float, float]]:
        return figures(rule, load, seconds)

    def apart(rule: str, load: float, name: str) -> Callable[[], float]:
        def measure() -> float:
            simulated, real = both(rule, load)[name]
            return 100.0 * abs(real / simulated - 1.0)

        return measure

    cases, targets = [], {}
    for shown, rule in RULES.items():
        for load in LOADS:
            for name, most in AT_MOST.items():
                case = Case(f"{shown} at load {load}, {name}", "%", apart(rule, load, name), once=True)
                cases.append(case)
                targets[case.name] = Target("at most", most)
    return Plan(cases=cases, targets=targets)
