"""HAProxy's log as it is heard: what is not in our format, or is of others, is refused and counted."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.haproxy.log import Counts, LogListener, line_of
from envs.load_balancing.kernel.metering import ANSWERED, TURNED_AWAY, UNANSWERED

GOOD = "mb2 7 web_a s2 200 -- 1 5 0 20 31 1795966617392711"
BACKENDS = {"web_a": 0, "web_b": 1}
SERVERS = ("s1", "s2")


def wait_for(condition: Callable[[], bool]) -> None:
    until_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.005)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[LogListener]:
    with LogListener(str(tmp_path / "log.sock"), BACKENDS, SERVERS, now=lambda: 12.5) as listener:
        yield listener


def send(listener: LogListener, *datagrams: str | bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(listener.address)
        for one in datagrams:
            sender.send(one if isinstance(one, bytes) else one.encode())


def test_a_line_is_a_request(listener: LogListener) -> None:
    send(listener, GOOD + "\n")
    wait_for(lambda: listener.counts.taken == 1)
    (line,) = listener.drain()
    assert (line.heard_s, line.pid, line.backend, line.server, line.status) == (12.5, 7, "web_a", "s2", 200)
    assert line.ended_us == 1795966617392711
    ended = listener.ended([line], 10.0)
    assert [part.tolist() for part in ended] == [[2.5], [0], [1], [ANSWERED], [0.031], [0.025]]
    assert listener.drain() == []


@pytest.mark.parametrize(
    ("line", "outcome", "server"),
    [
        ("mb2 7 web_b s1 404 -- 0 0 0 1 1 1795966617392711", ANSWERED, 0),
        ("mb2 7 web_b s1 500 -- 0 0 0 1 1 1795966617392711", UNANSWERED, 0),
        ("mb2 7 web_b s1 200 SD 0 0 0 1 1 1795966617392711", UNANSWERED, 0),
        ("mb2 7 web_b s1 -1 CD 0 0 0 -1 1 1795966617392711", UNANSWERED, 0),
        ("mb2 7 web_b s1 502 SH 0 0 0 -1 1 1795966617392711", UNANSWERED, 0),
        ("mb2 7 web_b <NOSRV> 503 SC 0 0 -1 -1 0 1795966617392711", TURNED_AWAY, -1),
        ("mb2 7 web_b <NOSRV> 503 sQ 0 2000 -1 -1 2000 1795966617392711", TURNED_AWAY, -1),
    ],
)
def test_how_a_request_ended(listener: LogListener, line: str, outcome: int, server: int) -> None:
    send(listener, line)
    wait_for(lambda: listener.counts.taken == 1)
    ended = listener.ended(listener.drain(), 0.0)
    assert (ended.outcome.tolist(), ended.server.tolist()) == ([outcome], [server])
    assert ended.latency_s.min() >= ended.duration_s.min() >= 0


BAD = [
    "",
    "hello",
    GOOD + " 3",
    GOOD.replace("mb2", "mb1"),
    GOOD.rsplit(" ", 1)[0],
    GOOD[:-1],
    GOOD.replace("200", "20"),
    GOOD.replace("web_a", "web a"),
    GOOD + "\n" + GOOD,
    'Nov 29 10:00:00 host haproxy[7]: 127.0.0.1:4 [29/Nov] f web_a/s2 0/0/0/1/1 200 "GET /?mb2 7 web_a s1"',
]


def test_what_is_no_line_of_ours_is_counted(listener: LogListener) -> None:
    send(listener, *BAD, b"\xff\xfe", b"x" * 5_000)
    send(listener, GOOD.replace("web_a", "other"), GOOD.replace("s2", "s9"), GOOD)
    wait_for(lambda: listener.counts.taken == 1)
    assert listener.counts == Counts(taken=1, malformed=len(BAD) + 2, foreign=2, dropped=0)
    assert len(listener.drain()) == 1


@given(st.binary(max_size=200))
def test_any_datagram_is_a_line_or_none(data: bytes) -> None:
    line = line_of(data, 0.0)
    assert line is None or data.startswith(b"mb2 ")


@given(st.text(alphabet="mb2 \nweb_as2<NOSRV>0123-+SC", max_size=60))
def test_almost_a_line_is_a_line_or_none(text: str) -> None:
    line = line_of(text.encode(), 0.0)
    assert line is None or (line.active_ms >= 0 and line.waited_ms >= 0)


def test_five_thousand_lines_a_second_are_heard_without_loss(listener: LogListener) -> None:
    n = 20_000
    lines = [GOOD.replace(" 31 ", f" {31 + i % 100} ").encode() for i in range(n)]
    send(listener, *lines)
    wait_for(lambda: listener.counts.taken == n)
    ended = listener.ended(listener.drain(), 0.0)
    assert len(ended.latency_s) == n
    assert np.array_equal(np.rint(ended.latency_s * 1e3), 31 + np.arange(n) % 100)


def test_no_lines_are_no_requests(listener: LogListener) -> None:
    assert [len(part) for part in listener.ended([], 0.0)] == [0] * 6


def test_a_socket_that_a_dead_process_left_is_taken_over(tmp_path: Path) -> None:
    address = str(tmp_path / "log.sock")
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(address)
    left.close()
    with LogListener(address, BACKENDS, SERVERS) as listener:
        send(listener, GOOD)
        wait_for(lambda: listener.counts.taken == 1)
    assert not (tmp_path / "log.sock").exists()


def test_a_file_of_somebody_is_not(tmp_path: Path) -> None:
    (tmp_path / "log.sock").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        LogListener(str(tmp_path / "log.sock"), BACKENDS, SERVERS)
    assert (tmp_path / "log.sock").read_text() == "mine"


def test_a_socket_at_which_somebody_hears_is_left_to_him(listener: LogListener) -> None:
    with pytest.raises(OSError, match="in use"):
        LogListener(listener.address, BACKENDS, SERVERS)
    send(listener, GOOD)
    wait_for(lambda: listener.counts.taken == 1)


def test_it_hears_udp(tmp_path: Path) -> None:
    with LogListener("127.0.0.1:0", BACKENDS, SERVERS) as listener:
        port = listener._socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(GOOD.encode(), ("127.0.0.1", port))
        wait_for(lambda: listener.counts.taken == 1)
        assert [line.server for line in listener.drain()] == ["s2"]
