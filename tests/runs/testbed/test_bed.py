"""The test bed as a whole, with the real HAProxy: laws of loads and faults that are survived."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy import stats

from envs.core.validation import SettingError
from envs.haproxy.leaving import is_running
from envs.haproxy.log import LOG_FORMAT
from envs.haproxy.runtime import Place, RuntimeApi, Weight
from envs.load_balancing.config import LoadBalancingConfig, Poisson, Randomisation, Regimes, Workload
from runs.testbed import bed
from runs.testbed.faults import Fault
from runs.testbed.proxy import ProxyConfig
from runs.testbed.requests import ScheduleConfig, draw_schedule
from tests.envs.haproxy.processes import installed_haproxy
from tests.runs.testbed.beds import assert_laws, at_random, evenly, world_of

CORES, SPEED = [4, 4, 2], [2.0, 1.0, 1.0]


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    installed_haproxy()


@pytest.fixture(scope="module")
def running() -> Iterator[bed.TestBed]:
    """A pool of three; tests leave it as they found it."""
    with bed.TestBed(world_of(CORES, SPEED), ProxyConfig(weights=[200, 100, 50], check_ms=50)) as started:
        yield started


@pytest.fixture(autouse=True)
def _whole(running: bed.TestBed) -> Iterator[None]:
    """All is well again after a test."""
    yield
    for server in range(len(CORES)):
        running.machines.slow_down(server, 1.0)
        running.machines.start(server)
    running.proxy.start()
    running.wait_until_up()


def places(backend: str, servers: Sequence[str], weights: Sequence[int]) -> dict[Place, int]:
    return {Place(backend, server): weight for server, weight in zip(servers, weights, strict=True)}


def test_every_backend_has_all_servers_at_their_weights(running: bed.TestBed) -> None:
    assert running.servers == ("s1", "s2", "s3")
    assert running.backends == ("web_interactive", "web_batch")
    api = RuntimeApi(running.socket)
    for backend in running.backends:
        weights = dict(zip(running.servers, (200, 100, 50), strict=True))
        places = {Place(backend, name): Weight(value, value) for name, value in weights.items()}
        assert api.weights(list(places)) == places


def test_requests_are_conserved_and_none_is_faster_than_its_work(running: bed.TestBed) -> None:
    before = running.machines.counts()
    schedule = at_random(400, 200.0, 0.02)
    answers = running.run(schedule)
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.all()
    after = running.machines.counts()
    assert np.array_equal(after.answered - before.answered, np.bincount(answers.server, minlength=3))
    assert after.arrived.sum() - before.arrived.sum() == schedule.n
    assert not after.inside.any()


def test_weights_that_are_set_move_the_requests(running: bed.TestBed) -> None:
    api = RuntimeApi(running.socket)
    for backend, weights in zip(running.backends, ((0, 0, 10), (10, 0, 0)), strict=True):
        api.set_weights(places(backend, running.servers, weights))
    try:
        schedule = at_random(100, 200.0, 0.002)
        answers = running.run(schedule)
    finally:
        for backend in running.backends:
            api.set_weights(places(backend, running.servers, (200, 100, 50)))
    assert np.array_equal(answers.server, np.where(schedule.flow_class == 0, 2, 0))


def test_workers_serve_one_request_at_a_time(running: bed.TestBed) -> None:
    """Of what one server answers, the workers together have been busy for all of the work."""
    schedule = evenly(60, 0.3, 0.1)
    answers = running.run(schedule)
    assert_laws(schedule, answers, SPEED)
    for server, (cores, speed) in enumerate(zip(CORES, SPEED, strict=True)):
        of_it = answers.server == server
        busy_s = schedule.work_s[of_it].sum() / speed
        assert answers.ended_s[of_it].max() - answers.intended_s[of_it].min() >= busy_s / cores - 1e-6


def test_a_slower_server_takes_longer_over_the_same_work(running: bed.TestBed) -> None:
    schedule = evenly(150, 1.5, 0.02)
    answers = running.run(schedule, [Fault(0.5, "slow", 0, factor=0.25), Fault(1.0, "slow", 0)])
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.all()
    slow = (answers.server == 0) & (schedule.time_s > 0.6) & (schedule.time_s < 0.9)
    assert slow.any()
    assert (answers.latency_s[slow] >= 0.02 / (0.25 * SPEED[0]) - 1e-6).all()


def test_a_server_that_stops_loses_what_is_on_it_at_most(running: bed.TestBed) -> None:
    before = running.machines.counts()
    schedule = evenly(500, 2.5, 0.05)
    answers = running.run(schedule, [Fault(0.5, "stop", 0)])
    assert_laws(schedule, answers, SPEED)
    lost = (running.machines.counts().lost - before.lost).tolist()
    on_it = ~answers.is_ok & (answers.sent_s < 0.4)
    assert on_it.sum() <= lost[0]
    assert lost[1:] == [0, 0]
    assert (~answers.is_ok).sum() >= lost[0] >= 1
    assert answers.is_ok[answers.ended_s < 0.5].all()
    known_by_now = schedule.time_s > 2.0
    assert answers.is_ok[known_by_now].all()
    assert not (answers.server[known_by_now] == 0).any()


def test_a_server_that_starts_again_serves_again(running: bed.TestBed) -> None:
    schedule = evenly(300, 3.0, 0.01)
    answers = running.run(schedule, [Fault(0.2, "stop", 0), Fault(0.8, "start", 0)])
    assert_laws(schedule, answers, SPEED)
    by_now = schedule.time_s > 2.3
    assert answers.is_ok[by_now].all()
    assert (answers.server[by_now] == 0).any()


def test_haproxy_may_be_killed_and_started_again(running: bed.TestBed) -> None:
    assert running.proxy.process is not None
    pid = running.proxy.process.pid
    schedule = evenly(300, 3.0, 0.05)
    answers = running.run(schedule, [Fault(0.5, "kill_proxy"), Fault(0.9, "start_proxy")])
    assert_laws(schedule, answers, SPEED)
    assert not is_running(pid)
    assert answers.is_ok[answers.ended_s < 0.5].all()
    assert (answers.status == 0).any()
    assert answers.is_ok[schedule.time_s > 2.5].all()
    assert running.proxy.answers()


def test_haproxy_logs_every_request_in_the_format(running: bed.TestBed) -> None:
    schedule = at_random(50, 100.0, 0.005)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(5.0)
        log.bind(str(running.log_socket))
        with ThreadPoolExecutor(1) as reading:  # meanwhile: Linux keeps ten datagrams
            read = reading.submit(lambda: [log.recv(1024).decode().split() for _ in range(schedule.n)])
            answers = running.run(schedule)
            lines = read.result()
    running.log_socket.unlink()
    assert {len(words) for words in lines} == {len(LOG_FORMAT.split())}
    assert running.proxy.process is not None
    assert {(words[0], words[1]) for words in lines} == {("mb2", str(running.proxy.process.pid))}
    for flow_class, backend in enumerate(running.backends):
        mine = [words for words in lines if words[2] == backend]
        assert len(mine) == (schedule.flow_class == flow_class).sum()
    for server, name in enumerate(running.servers):
        assert sum(words[3] == name for words in lines) == (answers.server == server).sum()
    assert {words[4] for words in lines} == {"200"}
    assert {words[5] for words in lines} == {"--"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(0.1, "stop", 3), r"faults\[0\].server must be < 3, the servers, got 3"),
        (Fault(9.0, "kill_proxy"), r"faults\[0\].at_s must be <= 0.9, the last request, got 9.0"),
    ],
)
def test_a_fault_that_can_not_be_is_refused(running: bed.TestBed, fault: Fault, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        running.run(evenly(10, 1.0, 0.0), [fault])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"at_s": -1.0}, "at_s must be >= 0"),
        ({"at_s": 1.0, "kind": "explode"}, "kind must be one of slow, stop, start, kill_proxy, start_proxy"),
        ({"at_s": 1.0, "kind": "slow", "factor": 1.5}, "factor must be >= 0 and <= 1"),
    ],
)
def test_a_fault_that_is_none_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        Fault(**fields)


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (world_of(CORES, SPEED, service="ps"), "pool.service must be fcfs on a test bed, got 'ps'"),
        (
            dataclasses.replace(world_of(CORES, SPEED), randomise=Randomisation(speed=[1.0, 2.0])),
            r"randomise.speed must be \[\] on a test bed",
        ),
    ],
)
def test_a_world_of_other_servers_is_refused(world: LoadBalancingConfig, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        bed.TestBed(world)


def test_joint_backends_are_one_for_all_classes_and_requests_are_the_simulators() -> None:
    regimes = Regimes(loads=[0.3], interactive_shares=[0.5])
    workload = Workload(arrivals=Poisson(), rate_hz=60.0, regimes=regimes)
    world = dataclasses.replace(world_of([2, 1], [20.0, 10.0]), backends="joint", workload=workload)
    schedule = draw_schedule(world, ScheduleConfig(1.0))
    with bed.TestBed(world, ProxyConfig("roundrobin")) as running:
        assert running.backends == ("web_joint", "web_joint")
        answers = running.run(schedule)
    assert_laws(schedule, answers, [20.0, 10.0])
    assert answers.is_ok.all()
    shares = np.bincount(answers.server)
    assert abs(int(shares[0]) - int(shares[1])) <= 1


def test_a_share_of_the_requests_has_backends_of_its_own() -> None:
    with bed.TestBed(world_of(CORES, SPEED), ProxyConfig(share=0.25)) as split:
        assert split.canaries == ("canary_web_interactive", "canary_web_batch")
        answers = split.run(evenly(1_200, 4.0, 0.0))
        rows = RuntimeApi(split.socket).statistics(split.canaries[0], split.backends[0])
    assert answers.is_ok.all()
    n_split, n_rest = (int(row["stot"]) for row in rows if row["svname"] == "BACKEND")
    assert n_split + n_rest == 1_200
    assert stats.binomtest(n_split, 1_200, 0.25).pvalue > 1e-4
