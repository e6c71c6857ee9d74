"""A real HAProxy and real servers: its log says when requests came, and what served them."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from envs.haproxy.log import Line, LogListener
from envs.haproxy.recorder import LogRecorder
from envs.haproxy.recording import read_log
from envs.load_balancing.config import LeastConn, LoadBalancingConfig, Poisson, Regimes, Workload
from runs.calibration.calibration import calibrate
from runs.calibration.world import world_of
from runs.testbed.bed import TestBed
from runs.testbed.proxy import ProxyConfig
from runs.testbed.requests import ScheduleConfig, draw_schedule
from tests.envs.haproxy.processes import installed_haproxy
from tests.envs.haproxy.test_log import wait_for
from tests.runs.testbed.beds import pool_of

pytestmark = pytest.mark.slow
SPEED = [2.0, 1.0]


def world() -> LoadBalancingConfig:
    workload = Workload(arrivals=Poisson(), regimes=Regimes(loads=[0.6], interactive_shares=[0.8]), retries=0.0)
    kinds = {
        name: dataclasses.replace(getattr(workload, name), mean_work_s=mean_s)
        for name, mean_s in (("interactive", 0.02), ("batch", 0.06))
    }
    return LoadBalancingConfig(
        pool=pool_of([2, 2], SPEED, boot_s=0.0), workload=dataclasses.replace(workload, **kinds), dispatch=LeastConn()
    )


@pytest.fixture(scope="module")
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(world(), ProxyConfig(weights=[200, 100])) as started:
        yield started


def listener(bed: TestBed, recorder: LogRecorder | None = None) -> LogListener:
    return LogListener(
        str(bed.log_socket), {name: at for at, name in enumerate(bed.backends)}, bed.servers, recorder=recorder
    )


def next_line(heard: LogListener) -> Line:
    found: list[Line] = []
    wait_for(lambda: bool(found.extend(heard.drain()) or found))
    [line] = found
    return line


def test_a_line_has_the_end_of_its_request_and_nothing_of_what_its_connection_did_before(bed: TestBed) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nx-work-s: 0.1\r\n\r\n"
    lines, within = [], []
    with listener(bed) as heard, socket.create_connection(("127.0.0.1", bed.ports[0])) as connection:
        for idle_s, held_s in ((0.0, 0.0), (2.0, 0.0), (0.0, 0.3)):
            time.sleep(idle_s)
            began_s = time.time()
            connection.sendall(head[:9])
            time.sleep(held_s)
            connection.sendall(head[9:])
            assert b"200" in connection.recv(4096)
            within.append((began_s, time.time()))
            lines.append(next_line(heard))
    for line, (began_s, ended_s) in zip(lines, within, strict=True):
        assert began_s <= line.ended_us / 1e6 <= ended_s
        assert line.active_ms <= 1e3 * (ended_s - began_s) + 2  # of two that are cut off
        assert line.waited_ms == 0
    assert lines[1].active_ms < 1_900  # what it was idle is not in it
    assert lines[2].received_ms >= 299  # what its head took is
    assert lines[2].active_ms >= lines[2].received_ms + 49


def test_what_served_is_found_in_the_log(bed: TestBed, tmp_path: Path) -> None:
    true = world()
    schedule = draw_schedule(true, ScheduleConfig(8.0))
    with listener(bed, LogRecorder(tmp_path / "log", 10_000_000)) as heard:
        answers = bed.run(schedule)
        wait_for(lambda: heard.counts.taken == schedule.n)
    recorded = read_log(tmp_path / "log", {name: at for at, name in enumerate(bed.backends)}, bed.servers)
    requests = recorded.requests
    assert np.bincount(requests.server).tolist() == np.bincount(answers.server).tolist()
    assert np.bincount(requests.flow_class).tolist() == np.bincount(schedule.flow_class).tolist()

    unknowing = dataclasses.replace(
        true, pool=dataclasses.replace(true.pool, speed=[2.0, 2.0]), workload=Workload(arrivals=Poisson())
    )
    found = calibrate(requests, unknowing, bed.servers)
    fit = world_of(found, unknowing)
    of_s2 = next(one for one in fit.settings if one.path == "pool.speed.1")
    assert of_s2.error is not None
    assert fit.world.pool.speed[0] == 2.0
    assert abs(fit.world.pool.speed[1] - SPEED[1]) < 4 * of_s2.error
    assert of_s2.error < 0.15
    assert fit.world.workload.work == "exponential"
    for flow_class in (0, 1):
        sample_s = schedule.work_s[schedule.flow_class == flow_class].mean()
        assert fit.world.workload.mean_work_s[flow_class] == pytest.approx(sample_s, rel=0.15)
    assert found.traffic.rate_hz == pytest.approx(schedule.n / schedule.last_s, rel=0.1)
