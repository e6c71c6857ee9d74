"""Small pools, loads and processes, for the tests of the test bed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from envs.haproxy.runtime import RuntimeApi
from envs.load_balancing.config import LoadBalancingConfig, ServerPool
from runs.testbed.bed import TestBed
from runs.testbed.load import Answers
from runs.testbed.requests import Schedule

PATIENCE_S, PAUSE_S = 20.0, 0.02


def pool_of(cores: Sequence[int], speed: Sequence[float], **fields: Any) -> ServerPool:
    ones = [1.0] * len(cores)
    return ServerPool(
        **{"service": "fcfs", **fields}, cores=list(cores), speed=list(speed), price_usd_per_h=ones, memory_gb=ones
    )


def world_of(cores: Sequence[int], speed: Sequence[float], **fields: Any) -> LoadBalancingConfig:
    return LoadBalancingConfig(pool=pool_of(cores, speed, **fields))


def evenly(n: int, seconds: float, work_s: float, flow_class: int = 0) -> Schedule:
    """Requests of equal work at equal distances."""
    return Schedule(np.arange(n) * (seconds / max(n, 1)), np.full(n, flow_class), np.full(n, work_s))


def at_random(n: int, rate_hz: float, mean_work_s: float, seed: int = 0) -> Schedule:
    """Poisson arrivals of both classes with exponential work."""
    rng = np.random.default_rng(seed)
    return Schedule(rng.exponential(1 / rate_hz, n).cumsum(), rng.integers(0, 2, n), rng.exponential(mean_work_s, n))


def assert_laws(schedule: Schedule, answers: Answers, speed: Sequence[float]) -> None:
    """What holds of every load, whatever happens: all requests are accounted for, and nothing is faster than its work."""
    n = schedule.n
    assert [len(values) for values in answers] == [n] * 5
    assert np.array_equal(answers.intended_s, schedule.time_s)
    assert np.isfinite(answers.ended_s).all()
    sent = np.isfinite(answers.sent_s)
    assert (answers.sent_s[sent] >= answers.intended_s[sent]).all()
    assert (answers.ended_s[sent] >= answers.sent_s[sent]).all()
    ok = answers.is_ok
    assert sent[ok].all()
    assert (answers.server[ok] >= 0).all()
    at_least_s = schedule.work_s[ok] / np.asarray(speed)[answers.server[ok]]
    assert (answers.latency_s[ok] >= at_least_s - 1e-6).all()
    assert np.isnan(answers.latency_s[~ok]).all()


def comes_true(condition: Callable[[], bool]) -> bool:
    """Whether it does before patience ends."""
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(PAUSE_S)
    return True


def n_requests(bed: TestBed) -> int:
    """That have come to HAProxy since it began."""
    rows = RuntimeApi(bed.socket).statistics(*dict.fromkeys(bed.backends))
    return sum(int(row["stot"]) for row in rows if row["svname"] == "BACKEND")


def environment() -> dict[str, str]:
    """Of a process that imports the project."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3]), "PYTHONUNBUFFERED": "1"}
