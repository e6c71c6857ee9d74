"""Logs of servers whose settings are known: what HAProxy would write, made without one."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.haproxy.recording import Requests, read_log
from envs.load_balancing.config import LeastConn, LoadBalancingConfig, Poisson, Workload
from envs.load_balancing.kernel.arrivals.traffic import WorkDistribution
from tests.runs.testbed.beds import pool_of

START_US = 1_795_966_617_000_000
BACKENDS = {"web_interactive": 0, "web_batch": 1}
NAMES = ("s1", "s2", "s3")
CORES, SPEED, MEAN_S, SHARE = (4, 3, 2), (2.0, 1.0, 0.75), (0.02, 0.08), 0.8
CV, SHAPE = 1.5, 2.2


class Truth(NamedTuple):
    """Requests as they were."""

    came_s: FloatArray
    flow_class: IntArray
    work_s: FloatArray
    server: IntArray
    begun_s: FloatArray
    ended_s: FloatArray  # of service

    def sample_mean_s(self, flow_class: int) -> float:
        return float(self.work_s[self.flow_class == flow_class].mean())


def works(rng: np.random.Generator, kind: WorkDistribution, mean_s: FloatArray) -> FloatArray:
    """As the simulator draws them."""
    n = len(mean_s)
    if kind == "exponential":
        return rng.exponential(mean_s)
    if kind == "lognormal":
        sigma = np.sqrt(np.log1p(CV * CV))
        return mean_s * np.exp(rng.normal(0.0, sigma, n) - sigma * sigma / 2)
    return mean_s * (SHAPE - 1.0) / SHAPE * (1.0 - rng.random(n)) ** (-1.0 / SHAPE)


def served(
    n: int,
    rate_hz: float,
    kind: WorkDistribution = "exponential",
    *,
    seed: int = 0,
    cores: Sequence[int] = CORES,
    overhead_s: float = 0.0,
    slow: Callable[[int, float], float] = lambda server, now_s: 1.0,
) -> Truth:
    """Servers of `SPEED` that serve first come, first served; requests go to any of them, by capacity.

    Half of the overhead comes before service, half after it. ``slow`` is a factor on a server's speed as service begins.
    """
    rng = np.random.default_rng(seed)
    came_s = rng.exponential(1 / rate_hz, n).cumsum()
    flow_class = (rng.random(n) > SHARE).astype(np.int64)
    work_s = works(rng, kind, np.array(MEAN_S)[flow_class])
    free = [[0.0] * c for c in cores]
    capacity = np.array(cores) * SPEED[: len(cores)]
    servers = rng.choice(len(cores), n, p=capacity / capacity.sum())
    rows = []
    for now_s, work, server in zip(came_s.tolist(), work_s.tolist(), servers.tolist(), strict=True):
        begun_s = max(now_s + overhead_s / 2, heapq.heappop(free[server]))
        ended_s = begun_s + work / (SPEED[server] * slow(server, begun_s))
        heapq.heappush(free[server], ended_s)
        rows.append((begun_s, ended_s))
    return Truth(came_s, flow_class, work_s, servers, *np.array(rows).T)


def write_log(path: Path, truth: Truth, overhead_s: float = 0.0, seed: int = 0) -> Path:
    """As HAProxy has it: in the order of ends, and in whole milliseconds, the difference of two that are cut off."""
    ended_s = truth.ended_s + overhead_s / 2
    phase = np.random.default_rng(seed).random(len(ended_s))
    active_ms = np.floor(1e3 * (ended_s - truth.came_s) + phase)
    names = list(BACKENDS)
    lines = [
        f"mb2 7 {names[truth.flow_class[k]]} {NAMES[truth.server[k]]} 200 -- 0 0 0 {active_ms[k]:.0f} {active_ms[k]:.0f} "
        f"{START_US + round(ended_s[k] * 1e6)}\n"
        for k in np.argsort(ended_s)
    ]
    path.write_text("".join(lines))
    return path


def logged(folder: Path, truth: Truth, overhead_s: float = 0.0) -> Requests:
    """What is read of such a log."""
    return read_log(write_log(folder / "log", truth, overhead_s), BACKENDS, NAMES).requests


def exact(truth: Truth) -> Requests:
    """A log that rounds nothing."""
    took_s = truth.ended_s - truth.came_s
    return Requests(truth.came_s, truth.ended_s, took_s, truth.flow_class, truth.server, np.zeros(len(took_s), np.int64))


def base(cores: Sequence[int] = CORES) -> LoadBalancingConfig:
    """What a user knows: the cores, and the speed of the first server."""
    return LoadBalancingConfig(
        pool=pool_of(cores, [SPEED[0], 1.0, 1.0], boot_s=0.0), workload=Workload(arrivals=Poisson()), dispatch=LeastConn()
    )
