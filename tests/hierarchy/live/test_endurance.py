"""Ten thousand decisions leave nothing behind: no memory, no descriptors, no threads."""

from __future__ import annotations

import dataclasses
import gc
import http.client
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from envs.core.arrays import FloatArray
from envs.haproxy.balancer import Balancer
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.running import LiveConfig, Running
from hierarchy.live.serving import watchdog_of
from runs.testbed.bed import TestBed
from tests.envs.haproxy.processes import installed_haproxy
from tests.hierarchy.live.steering import CONFIG, settings_of

N_DECISIONS, N_WARM = 10_000, 2_000
MOST_GROWN_KIB = 2 * 1024
PAUSE_S = 0.02


class Left(NamedTuple):
    """What a process holds."""

    kib: int
    n_files: int
    n_threads: int


def left() -> Left:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return Left(int(status["VmRSS"].split()[0]), len(os.listdir("/proc/self/fd")), threading.active_count())


class Restless:
    """Asks for something else every time, and now and then for nothing that makes sense."""

    def __init__(self) -> None:
        self._rng, self._n = np.random.default_rng(0), 0

    def decide(self, measurements: Measurements) -> FloatArray:
        self._n += 1
        if self._n % 50 == 0:
            raise ValueError("no idea")
        return self._rng.uniform(0.1, 1.0, (1, 2, 2)) * measurements.capacity[:, None]


@pytest.mark.slow
def test_ten_thousand_decisions_leave_nothing() -> None:
    installed_haproxy()
    config = dataclasses.replace(CONFIG, dt_s=0.02)
    found: dict[int, Left] = {}
    is_over = threading.Event()

    def tell(decision: Decision) -> None:
        if decision.number in (N_WARM, N_DECISIONS):
            found[decision.number] = left()

    with TestBed(config) as bed, Balancer(config, settings_of(bed)) as balancer:

        def send() -> None:
            client = http.client.HTTPConnection("127.0.0.1", bed.ports[0], timeout=10)
            while not is_over.is_set():
                client.request("GET", "/interactive", headers={"X-Work": "0.001"})
                client.getresponse().read()
                time.sleep(PAUSE_S)
            client.close()

        sending = threading.Thread(target=send)
        sending.start()
        live = LiveConfig(haproxy=settings_of(bed), looks=2)
        controller = Controller(balancer, Restless(), live.safety, applies=True, slow_s=5.0)
        with watchdog_of(balancer, live) as watchdog:
            # nobody waits for the instant of a step: nothing that is left behind depends on it
            Running(controller, balancer, live, True, tell, sleep=lambda seconds: None, watchdog=watchdog).run(N_DECISIONS)
            assert watchdog.n_started == 1
        is_over.set()
        sending.join()
        assert controller.telemetry.lines.heard > 100
        assert controller.n_held["policy"] == N_DECISIONS // 50
    warm, end = found[N_WARM], found[N_DECISIONS]
    assert (end.n_files, end.n_threads) == (warm.n_files, warm.n_threads)
    assert end.kib - warm.kib < MOST_GROWN_KIB
