"""Real servers, spoken to without HAProxy: what they answer, and that they stop, start and end as they are told."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.haproxy.leaving import is_running
from runs.testbed.backends import Backends
from runs.testbed.errors import BedError
from runs.testbed.ports import FIRST, LAST
from tests.runs.testbed.beds import comes_true, environment, pool_of

HELD_S = 60.0
"""Work that is never done within a test."""
OWNER = """
import sys, time
from pathlib import Path
from runs.testbed.backends import Backends
from tests.runs.testbed.beds import pool_of
with Backends(pool_of([1], [1.0]), ["s1"], Path(sys.argv[1])) as backends:
    print(backends.pid)
    time.sleep(100)
"""


@pytest.fixture
def backends(tmp_path: Path) -> Iterator[Backends]:
    pool = pool_of([1, 2], [1.0, 4.0], max_flows=3)
    with Backends(pool, ["s1", "s2"], tmp_path / "log") as running:
        yield running


@pytest.fixture(scope="module")
def unimpressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """One server that is asked for nonsense again and again."""
    with Backends(pool_of([1], [1.0]), ["s1"], tmp_path_factory.mktemp("server") / "log") as running:
        yield running


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10.0)


def request(work_s: float | str, path: str = "/", version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nx-work-s: {work_s}\r\n\r\n".encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str]]:
    """Status and headers of the next answer, none of which has a body."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = connection.recv(1)
        if not part:
            raise ConnectionError
        data += part
    first, *lines = data.decode().strip().split("\r\n")
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def refuses(port: int) -> bool:
    try:
        connected(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_answer_says_who_served_and_for_how_long(backends: Backends) -> None:
    for server, service_s in ((0, 0.02), (1, 0.005)):
        with connected(backends.ports[server]) as connection:
            for _ in range(3):
                connection.sendall(request(0.02))
                status, headers = answer(connection)
                assert status == 200
                assert headers["x-server"] == f"s{server + 1}"
                assert float(headers["x-service-s"]) == pytest.approx(service_s, abs=1e-9)
    counts = backends.counts()
    assert counts.arrived.tolist() == counts.answered.tolist() == [3, 3]


def test_health_is_answered_whatever_else_there_is_to_do(backends: Backends) -> None:
    with connected(backends.ports[0]) as busy, connected(backends.ports[0]) as asking:
        busy.sendall(request(HELD_S))
        assert comes_true(lambda: backends.counts().inside[0] == 1)
        asking.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert answer(asking)[0] == 200
        assert is_closed(asking)
    assert backends.counts().arrived[0] == 1


def test_requests_on_one_connection_are_answered_in_order(backends: Backends) -> None:
    with connected(backends.ports[1]) as connection:
        works = [0.05, 0.001, 0.02]
        connection.sendall(b"".join(request(work_s) for work_s in works))
        took_s = [float(answer(connection)[1]["x-service-s"]) for _ in works]
    assert took_s == pytest.approx([work_s / 4.0 for work_s in works], abs=1e-9)


@pytest.mark.parametrize(
    "sent",
    [
        request("much"),
        request("-1"),
        request("nan"),
        request("inf"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nX-Work-S: 0.1\r\nContent-Length: 1\r\n\r\nx",
        b"\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(unimpressed: Backends, sent: bytes) -> None:
    with connected(unimpressed.ports[0]) as connection:
        connection.sendall(sent)
        assert answer(connection)[0] == 400
        assert is_closed(connection)
    assert unimpressed.counts().arrived[0] == 0


def test_what_never_ends_is_cut_off(unimpressed: Backends) -> None:
    with connected(unimpressed.ports[0]) as connection:
        connection.sendall(b"x" * 20_000)
        assert is_closed(connection)


def test_a_full_server_turns_away(backends: Backends) -> None:
    held = [connected(backends.ports[0]) for _ in range(3)]
    for connection in held:
        connection.sendall(request(HELD_S))
    assert comes_true(lambda: backends.counts().inside[0] == 3)
    with connected(backends.ports[0]) as one_more:
        one_more.sendall(request(0.001))
        status, headers = answer(one_more)
        assert (status, headers["x-server"]) == (503, "s1")
        one_more.sendall(b"GET /health HTTP/1.1\r\n\r\n")
        assert answer(one_more)[0] == 200
    counts = backends.counts()
    assert (counts.arrived[0], counts.rejected[0], counts.inside[0]) == (4, 1, 3)
    for connection in held:
        connection.close()


def test_a_server_that_stops_loses_what_is_on_it_and_comes_back_at_its_port(backends: Backends) -> None:
    port = backends.ports[0]
    held = [connected(port) for _ in range(2)]
    for connection in held:
        connection.sendall(request(HELD_S))
    assert comes_true(lambda: backends.counts().inside[0] == 2)
    backends.stop(0)
    assert all(is_closed(connection) for connection in held)
    assert comes_true(lambda: refuses(port))
    counts = backends.counts()
    assert (counts.arrived[0], counts.lost[0], counts.inside[0]) == (2, 2, 0)
    with connected(backends.ports[1]) as other:
        other.sendall(request(0.001))
        assert answer(other)[0] == 200
    backends.stop(0)
    for _ in range(2):
        backends.start(0)
    assert comes_true(lambda: not refuses(port))
    with connected(port) as again:
        again.sendall(request(0.001))
        assert answer(again)[0] == 200


def test_who_is_gone_gets_no_answer_and_is_counted(backends: Backends) -> None:
    with connected(backends.ports[0]) as connection:
        connection.sendall(request(0.1))
        assert comes_true(lambda: backends.counts().inside[0] == 1)
    assert comes_true(lambda: backends.counts().lost[0] == 1)
    assert backends.counts().answered[0] == 0


def test_a_slow_server_takes_longer_until_it_is_told_otherwise(backends: Backends) -> None:
    with connected(backends.ports[1]) as connection:
        for factor, service_s in ((0.25, 0.02), (1.0, 0.005)):
            backends.slow_down(1, factor)
            backends.counts()  # an answer: it has been told
            connection.sendall(request(0.02))
            assert float(answer(connection)[1]["x-service-s"]) == pytest.approx(service_s, abs=1e-9)


def test_ports_are_none_that_outgoing_connections_get(backends: Backends) -> None:
    assert all(FIRST <= port <= LAST for port in backends.ports)
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert first_outgoing > LAST


def test_the_process_ends_with_the_context(tmp_path: Path) -> None:
    def fail(backends: Backends) -> None:
        assert is_running(backends.pid or 0)
        pids.append(backends.pid or 0)
        raise KeyboardInterrupt

    pids: list[int] = []
    with pytest.raises(KeyboardInterrupt), Backends(pool_of([1], [1.0]), ["s1"], tmp_path / "log") as backends:
        fail(backends)
    assert not is_running(pids[0])
    assert backends.pid is None
    with pytest.raises(BedError, match="not running"):
        backends.slow_down(0, 0.5)


def test_the_process_ends_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", OWNER, str(tmp_path / "log")]
    owner = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment())
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert is_running(pid)
    owner.kill()
    owner.communicate()
    assert comes_true(lambda: not is_running(pid))


def test_servers_that_have_ended_are_an_error_of_one_line(backends: Backends) -> None:
    assert backends.pid is not None
    os.kill(backends.pid, signal.SIGKILL)
    assert comes_true(lambda: not is_running(backends.pid or 0))
    with pytest.raises(BedError, match=re.escape("the servers have ended: nothing was said")) as raised:
        backends.counts()
    assert "\n" not in str(raised.value)
