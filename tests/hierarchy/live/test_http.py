"""What is asked over HTTP is answered, and no client can have more, see what went wrong, or stay for long."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from envs.core.validation import SettingError
from hierarchy.live import http as module
from hierarchy.live.http import MOST_CLIENTS, Answer, Http, HttpConfig, said


def fail() -> Answer:
    raise RuntimeError("a secret")


ROUTES = {"/a": lambda: said("all is well"), "/b": lambda: said("not yet", 503), "/fails": fail}


@pytest.fixture
def served() -> Iterator[Http]:
    with Http(HttpConfig(port=0), ROUTES) as served:
        yield served


def port_of(served: Http) -> int:
    return int(served.address.rpartition(":")[2])


def asked(served: Http, path: str, method: str = "GET") -> tuple[int, str, http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(served), timeout=10)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, answer


def raw(served: Http, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port_of(served)), 10) as connection:
        connection.sendall(data)
        got = b""
        while part := connection.recv(1 << 16):
            got += part
        return got


def test_paths_are_answered(served: Http) -> None:
    assert served.address.startswith("http://127.0.0.1:")
    assert [asked(served, path)[:2] for path in ("/a", "/b", "/a?x=1")] == [
        (200, "all is well\n"),
        (503, "not yet\n"),
        (200, "all is well\n"),
    ]


@pytest.mark.parametrize("path", ["/", "/..", "/a/", "/../etc/passwd"])
def test_nothing_else_is_there(served: Http, path: str) -> None:
    assert asked(served, path)[:2] == (404, "not found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "NONE"])
def test_only_get_is_answered(served: Http, method: str) -> None:
    status, body, answer = asked(served, "/a", method)
    assert (status, body, answer.getheader("Allow")) == (405, "only GET is answered\n", "GET")


def test_what_fails_is_not_shown(served: Http) -> None:
    status, body, answer = asked(served, "/fails")
    assert (status, body) == (500, "it has failed\n")
    assert "Python" not in str(answer.headers)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /a HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /a HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_what_can_not_be_read_is_refused_in_a_line(served: Http, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    answer = raw(served, data)
    assert b"bad request\n" in answer
    assert b"Traceback" not in answer
    assert asked(served, "/a")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_slow_clients_are_cut_off_and_others_are_answered_then(served: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as may be there send a byte now and then, and never come to an end."""
    monkeypatch.setattr(module, "LONGEST_S", 1.0)
    slow = [socket.create_connection(("127.0.0.1", port_of(served)), 10) for _ in range(MOST_CLIENTS)]
    over = threading.Event()

    def trickle(one: socket.socket) -> None:
        try:
            while not over.wait(0.1):
                one.sendall(b"G")
        except OSError:
            return

    threads = [threading.Thread(target=trickle, args=(one,)) for one in slow]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            try:
                if asked(served, "/a")[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                over.wait(0.05)
        else:
            pytest.fail("nobody was cut off")
    finally:
        over.set()
        for thread, one in zip(threads, slow, strict=True):
            thread.join()
            one.close()


def test_so_many_clients_and_no_more(served: Http) -> None:
    kept = [socket.create_connection(("127.0.0.1", port_of(served)), 10) for _ in range(MOST_CLIENTS)]
    with socket.create_connection(("127.0.0.1", port_of(served)), 10) as another:
        assert another.recv(1) == b"", "it is closed at once"
    kept[0].sendall(b"GET /a HTTP/1.0\r\n\r\n")
    assert kept[0].recv(1 << 16).startswith(b"HTTP/1.0 200")
    for one in kept:
        one.close()


def test_at_the_end_clients_are_cut_off_and_nobody_listens(served: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Handler, "timeout", 60.0)
    with socket.create_connection(("127.0.0.1", port_of(served)), 10) as kept:
        asked(served, "/a")  # the other was accepted before
        served.close()
        assert kept.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port_of(served)), 10)


def test_a_port_that_is_taken_is_refused(served: Http) -> None:
    with pytest.raises(SettingError) as raised:
        Http(HttpConfig(port=port_of(served)), ROUTES)
    assert (
        str(raised.value) == f"http.port must be one that can be listened at (Address already in use), got {port_of(served)}"
    )


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match=r"http\.host must be one that can be listened at"):
        Http(HttpConfig("not an address", 0), ROUTES)
