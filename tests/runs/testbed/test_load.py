"""The load generator, against real servers without HAProxy and against one that answers nonsense."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from runs.testbed import load
from runs.testbed.backends import Backends
from runs.testbed.load import NO_SERVER, Answers, Lateness, LoadConfig
from runs.testbed.ports import bound_socket, free_ports
from runs.testbed.precise import run
from runs.testbed.requests import Schedule
from tests.runs.testbed.beds import assert_laws, at_random, evenly, pool_of

SPEED = [1.0, 4.0]
NAMES = ["s1", "s2"]


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    with Backends(pool_of([1, 4], SPEED), NAMES, tmp_path_factory.mktemp("servers") / "log") as running:
        yield running


def send(
    schedule: Schedule,
    ports: Sequence[int],
    events: Mapping[float, Sequence[Callable[[], None]]] | None = None,
    **bounds: Any,
) -> Answers:
    return run(lambda: load.send(schedule, ports, NAMES, LoadConfig(**bounds), events or {}))


def test_every_request_is_answered_by_the_server_of_its_class(backends: Backends) -> None:
    schedule = at_random(300, 300.0, 0.002)
    before = backends.counts()
    answers = send(schedule, backends.ports)
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.all()
    assert np.array_equal(answers.server, schedule.flow_class)
    assert np.array_equal(backends.counts().answered - before.answered, np.bincount(schedule.flow_class))


def test_requests_go_out_whatever_is_unanswered_and_latency_counts_from_the_instant(backends: Backends) -> None:
    """One worker with twenty times the work that it can do: the last answer comes when all of the work is done."""
    schedule = evenly(20, 0.1, 0.1)
    answers = send(schedule, backends.ports)
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.all()
    assert answers.sent_s.max() < answers.ended_s.max() - 1.0
    assert np.array_equal(np.argsort(answers.ended_s), np.arange(schedule.n))
    assert (answers.ended_s >= 0.1 * np.arange(1, 21)).all()
    assert answers.latency_s[-1] >= 20 * 0.1 - 0.1


def test_a_generator_that_is_held_up_hides_nothing(backends: Backends) -> None:
    def hold_up() -> None:
        time.sleep(0.3)

    schedule = evenly(100, 0.5, 0.0, flow_class=1)
    answers = send(schedule, backends.ports, {0.1: [hold_up]})
    assert_laws(schedule, answers, SPEED)
    meanwhile = (schedule.time_s > 0.15) & (schedule.time_s < 0.25)
    assert (answers.latency_s[meanwhile] >= 0.1).all()
    assert answers.lateness.max_s >= 0.1
    assert answers.lateness.p50_s <= answers.lateness.p99_s <= answers.lateness.max_s


def test_a_request_that_nobody_answers_in_time_is_given_up(backends: Backends) -> None:
    schedule = evenly(5, 0.05, 0.5)
    answers = send(schedule, backends.ports, timeout_s=0.8)
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.tolist() == [True, False, False, False, False]
    given_up = ~answers.is_ok
    assert (answers.ended_s - answers.intended_s >= 0.8 - 1e-6)[given_up].all()
    assert (answers.server[given_up] == NO_SERVER).all()
    assert (answers.status[given_up] == 0).all()


def test_where_nobody_listens_nothing_is_sent() -> None:
    schedule = evenly(5, 0.05, 0.0)
    answers = send(schedule, free_ports(2))
    assert_laws(schedule, answers, SPEED)
    assert not answers.is_ok.any()
    assert np.isnan(answers.sent_s).all()
    assert answers.lateness == Lateness(0.0, 0.0, 0.0)


def test_no_more_connections_are_opened_than_are_allowed(backends: Backends) -> None:
    schedule = evenly(10, 0.1, 0.5, flow_class=1)
    before = backends.counts().arrived[1]
    answers = send(schedule, backends.ports, connections=3)
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.sum() == 3
    assert np.isfinite(answers.sent_s).sum() == 3
    assert backends.counts().arrived[1] - before == 3


def test_connections_are_used_again_and_none_is_left(backends: Backends) -> None:
    before = len(os.listdir("/proc/self/fd"))
    answers = send(evenly(50, 0.5, 0.0, flow_class=1), backends.ports, connections=5)
    assert answers.is_ok.sum() > 5
    assert len(os.listdir("/proc/self/fd")) == before
    assert not gc.get_freeze_count()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-SERVER: s2\r\n\r\nabc", 200),
        (b"HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno", 503),
        (b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\n\r\n", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", 0),
        (b"nonsense\r\n\r\n", 0),
        (b"", 0),
    ],
)
@pytest.mark.parametrize("in_parts", [False, True])
def test_answers_are_read_as_they_come(said: bytes, status: int, in_parts: bool) -> None:
    """Each connection is closed after one answer; so no request meets one that is used again."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in [said[i : i + 1] for i in range(len(said))] if in_parts else [said]:
            writer.write(part)
            await writer.drain()
        await asyncio.sleep(0.01)
        writer.close()

    async def main() -> Answers:
        listening = bound_socket()
        port = int(listening.getsockname()[1])
        async with await asyncio.start_server(converse, sock=listening):
            return await load.send(evenly(3, 0.3, 0.0), [port, port], NAMES, LoadConfig(timeout_s=5.0), {})

    answers = run(main)
    assert answers.status.tolist() == [status] * 3
    assert answers.server.tolist() == [1 if b"X-SERVER" in said else NO_SERVER] * 3


def test_no_requests_are_no_answers() -> None:
    answers = send(evenly(0, 1.0, 0.0), [1, 1])
    assert [len(values) for values in answers] == [0] * 5


def test_what_fails_besides_ends_the_load(backends: Backends) -> None:
    def fail() -> None:
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        send(evenly(10, 50.0, 0.0), backends.ports, {0.05: [fail]})


@pytest.mark.parametrize(
    ("schedule", "bounds", "said"),
    [
        (evenly(11, 1.0, 0.0), {"max_requests": 10}, r"schedule must be at most 10 requests \(max_requests\), got 11"),
        (evenly(2, 5.0, 0.0), {"max_seconds": 2.0}, r"schedule.time_s must be <= 2 \(max_seconds\), got 2.5"),
        (evenly(2, 5.0, 0.0, flow_class=2), {}, r"schedule.flow_class\[0\] must be from 0 to 1"),
    ],
)
def test_a_load_beyond_its_bounds_is_refused(schedule: Schedule, bounds: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        send(schedule, [1, 1], **bounds)


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"timeout_s": 0.0}, "timeout_s must be > 0"),
        ({"connections": 0}, "connections must be >= 1"),
        ({"max_requests": 10**9}, "max_requests must be >= 1 and <= 1e"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        LoadConfig(**bounds)


def test_timers_are_exact_and_never_early() -> None:
    """Epoll by itself would round all of these up to one millisecond."""

    async def main() -> list[float]:
        loop, late_s = asyncio.get_running_loop(), []
        for _ in range(50):
            due_s = loop.time() + 0.0002
            await asyncio.sleep(0.0002)
            late_s.append(loop.time() - due_s)
        return late_s

    late_s = run(main)
    assert min(late_s) >= 0.0
    assert min(late_s) < 0.0007
