"""A log that is kept is read as it came; what is cut or of others is counted, and what is something else refused."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.validation import SettingError
from envs.haproxy.log import LogListener
from envs.haproxy.recorder import LogRecorder
from envs.haproxy.recording import Recorded, read_log
from envs.load_balancing.kernel.metering import ANSWERED, TURNED_AWAY, UNANSWERED
from tests.envs.haproxy.test_log import GOOD, wait_for

BACKENDS = {"web_a": 0, "web_b": 1}
SERVERS = ("s1", "s2")
START_US = 1_795_966_617_000_000


def line(
    ended_ms: float, active_ms: int, server: str = "s1", backend: str = "web_a", received: int = 0, waited: int = 0
) -> str:
    return f"mb2 7 {backend} {server} 200 -- {received} {waited} 0 1 {active_ms} {START_US + round(ended_ms * 1e3)}"


def read(folder: Path, *lines: str, end: str = "\n") -> Recorded:
    path = folder / "log"
    path.write_text("\n".join(lines) + end)
    return read_log(path, BACKENDS, SERVERS)


def test_requests_are_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    found, n_cut, n_foreign = read(tmp_path, line(20, 5), line(50.25, 50, "s2", "web_b"), line(60, 20, received=2, waited=8))
    assert (n_cut, n_foreign) == (0, 0)
    assert found.came_s == pytest.approx([0.0, 0.01475, 0.04975])
    assert found.ended_s == pytest.approx([0.05, 0.01975, 0.05975])
    assert found.latency_s == pytest.approx([0.05, 0.005, 0.02])
    assert found.flow_class.tolist() == [1, 0, 0]
    assert found.server.tolist() == [1, 0, 0]
    assert found.outcome.tolist() == [ANSWERED] * 3


def test_how_requests_ended_is_read_too(tmp_path: Path) -> None:
    lost, away = line(9, 1).replace("200 --", "502 SH"), line(10, 1, "<NOSRV>").replace("200 --", "503 SC")
    found = read(tmp_path, lost, away).requests
    assert found.outcome.tolist() == [UNANSWERED, TURNED_AWAY]
    assert found.server.tolist() == [0, -1]


@pytest.mark.parametrize(
    "prefix",
    [
        "Nov 29 15:36:57 host haproxy[7]: ",
        "Nov  9 15:36:57 host haproxy: ",
        "<134>Nov 29 15:36:57 haproxy[7]: ",
        "2026-11-29T15:36:57.392711+00:00 balancer-1.example haproxy[7]:  ",
        "<134>1 2026-11-29T15:36:57.392711Z host haproxy 7 - - ",
        '<134>1 2026-11-29T15:36:57Z host haproxy 7 - [a@1 b="c"] ',
    ],
)
def test_a_file_of_a_syslog_daemon_is_read(tmp_path: Path, prefix: str) -> None:
    plain, prefixed = read(tmp_path, GOOD, GOOD), read(tmp_path, prefix + GOOD, GOOD)
    assert all(np.array_equal(a, b) for a, b in zip(plain.requests, prefixed.requests, strict=True))


@pytest.mark.parametrize("left", range(len(GOOD)))
def test_a_last_line_that_is_cut_is_left_out(tmp_path: Path, left: int) -> None:
    found = read(tmp_path, line(1, 1), GOOD[:left], end="")
    assert (found.requests.n, found.n_cut) == (1, int(left > 0))


def test_a_line_that_was_cut_before_others_were_appended_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(GOOD + "\n" + GOOD[:30])
    recorder = LogRecorder(path, 10_000)
    recorder.take(GOOD.encode())
    recorder.close()
    found = read_log(path, {"web_a": 0}, SERVERS)
    assert (found.requests.n, found.n_cut) == (2, 1)


def test_lines_of_other_backends_are_left_out(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, line(3, 1, "x", "other"))
    assert (found.requests.n, found.n_foreign) == (1, 1)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "log must be a file with requests of web_a, web_b, got .* which has none$"),
        ([line(1, 1, "s1", "other")], r"which has none \(it has those of other\)"),
        ([GOOD, "hello"], "log must be in the format 'mb2 .* with line 2: 'hello'"),
        ([GOOD.replace("mb2", "mb1")], "with line 1: 'mb1 7"),
        ([GOOD, 'Nov 29 10:00:00 host haproxy[7]: 127.0.0.1 "GET /?' + GOOD + '"'], "with line 2"),
        ([GOOD, "Nov 29 10:00:00 host x[7]: y: " + GOOD], "with line 2"),
        ([GOOD, line(1, 1, "s9")], r"servers must be those of the log, which has s9 in line 2, got \['s1', 's2'\]"),
    ],
)
def test_what_is_no_such_log_is_refused(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        read(tmp_path, *lines)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"log must be a file that can be read, got .*none \(No such file"):
        read_log(tmp_path / "none", BACKENDS, SERVERS)


@given(st.binary(max_size=300))
def test_any_file_is_a_log_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(GOOD.encode() + b"\n" + data)
    with suppress(SettingError):
        assert read_log(path, BACKENDS, SERVERS).requests.n >= 1


def test_what_is_heard_is_recorded_and_nothing_else(tmp_path: Path) -> None:
    recorder = LogRecorder(tmp_path / "new" / "log", 1_000_000)
    with LogListener(str(tmp_path / "s"), BACKENDS, SERVERS, recorder=recorder) as listener:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(listener.address)
            for one in (GOOD + "\n", "hello", GOOD.replace("web_a", "other"), GOOD.replace("s2", "s1")):
                sender.send(one.encode())
        wait_for(lambda: listener.counts.taken == 2)
        wait_for(lambda: len((tmp_path / "new" / "log").read_text().splitlines()) == 2)  # without an end of listening
    assert (tmp_path / "new" / "log").read_text() == GOOD + "\n" + GOOD.replace("s2", "s1") + "\n"


def test_a_recording_ends_where_it_is_as_large_as_it_may_be(tmp_path: Path) -> None:
    for _ in range(2):
        recorder = LogRecorder(tmp_path / "log", 3 * len(GOOD) + 5)
        for _ in range(5):
            recorder.take(GOOD.encode())
        recorder.take(b"x")  # there would be room for it
        recorder.close()
        assert (tmp_path / "log").stat().st_size == 3 * (len(GOOD) + 1)
    assert (recorder.n_taken, recorder.n_left_out) == (0, 6)


def test_a_disk_that_is_full_ends_the_recording_alone(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    recorder = LogRecorder(Path("/dev/full"), 1_000_000)
    for _ in range(2_000):
        recorder.take(GOOD.encode())
    recorder.flush()
    recorder.take(GOOD.encode())
    assert recorder.n_left_out
    recorder.close()
