"""A controller as a process of its own, whose policy asks for one weight and then for another, for tests that kill it.

It prints a line of JSON for every decision: weights in force, why they are held, what was noticed.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.load_balancing.config import LoadBalancingConfig, Regimes, ServerPool, Workload
from envs.load_balancing.kernel.arrivals.poisson import Poisson
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.safety import Safety
from hierarchy.live.serving import alone, watchdog_of
from runs.testbed.bed import TestBed
from tests.runs.testbed.beds import environment

CONFIG = LoadBalancingConfig(
    pool=ServerPool(
        cores=[2, 2], speed=[1.0, 1.0], price_usd_per_h=[0.2, 0.1], memory_gb=[4.0, 4.0], service="fcfs", boot_s=0.0
    ),
    workload=Workload(arrivals=Poisson(), regimes=Regimes(loads=[0.5], interactive_shares=[0.7]), retries=0.0),
    dt_s=0.1,
)
LARGEST_CHANGE, TTL_S = 40, 1.5


class Swaying:
    """A policy that favours one server, then the other; from its ``hangs``-th decision on it never decides."""

    def __init__(self, hangs: int | None = None) -> None:
        self._n, self._hangs = 0, hangs

    def decide(self, measurements: Measurements) -> FloatArray:
        self._n += 1
        if self._n == self._hangs:
            time.sleep(1e6)
        first = 1.0 if self._n // 8 % 2 else 0.1
        return np.full((1, 2, 2), 1.0) * [first, 1.1 - first] * measurements.capacity[:, None]


def settings_of(bed: TestBed) -> HAProxyConfig:
    return HAProxyConfig(bed.socket, str(bed.log_socket), list(bed.backends), list(bed.servers))


def steer(settings: HAProxyConfig, hangs: int | None, n_steps: int | None, ttl_s: float) -> None:
    config = LiveConfig(haproxy=settings, safety=Safety(largest_change=LARGEST_CHANGE), ttl_s=ttl_s, slow_s=60.0)
    with alone(CONFIG, config), Balancer(CONFIG, settings) as balancer:
        balancer.look()
        controller = Controller(balancer, Swaying(hangs), config.safety, applies=True)

        def tell(decision: Decision) -> None:
            weights = None if decision.weights is None else decision.weights.tolist()
            noticed = [one.kind for one in decision.noticed]
            print(json.dumps({"weights": weights, "held": decision.held_because, "noticed": noticed}), flush=True)

        with watchdog_of(balancer, config) as watchdog:
            print(json.dumps({"watchdog": watchdog.pid}), flush=True)
            Running(controller, balancer, config, True, tell, watchdog=watchdog).run(n_steps)


@contextmanager
def steering(
    bed: TestBed, hangs: int | None = None, n_steps: int | None = None, ttl_s: float = TTL_S
) -> Iterator[subprocess.Popen[str]]:
    """The process; killed at the end."""
    given = json.dumps([dataclasses.asdict(settings_of(bed)), hangs, n_steps, ttl_s])
    words = [sys.executable, "-m", "tests.hierarchy.live.steering", given]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment()) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that it prints."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    told: dict[str, Any] = json.loads(line)
    return told


if __name__ == "__main__":
    where, *how = json.loads(sys.argv[1])
    try:
        steer(HAProxyConfig(**where), *how)
    except SettingError as error:
        print(f"refused: {error}", file=sys.stderr)
        sys.exit(2)
