"""The Runtime API, of a real HAProxy: what is set is what it has, and every refusal is an exception of its kind."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from envs.core.validation import SettingError
from envs.haproxy import runtime
from envs.haproxy.runtime import (
    BadWeightError,
    NoSuchProxyError,
    NoSuchServerError,
    NotPermittedError,
    Place,
    RuntimeApi,
    RuntimeApiError,
    UnknownCommandError,
    UnreachableError,
    Weight,
    states,
    table,
)
from tests.envs.haproxy.processes import HAProxy, running
from tests.runs.serving import free_port

BODY = """
frontend front
    bind 127.0.0.1:{port}
    default_backend web
backend web
    balance leastconn
    server one 127.0.0.1:9 weight 100
    server two 127.0.0.1:9 weight 50 disabled
backend fixed
    balance static-rr
    server one 127.0.0.1:9 weight 1
"""

ONE, TWO, NONE = (Place("web", name) for name in ("one", "two", "none"))


@pytest.fixture(scope="module")
def proxy() -> Iterator[HAProxy]:
    with running(BODY.format(port=free_port()), free_port()) as proxy:
        yield proxy


@pytest.fixture(params=["unix", "tcp"])
def api(proxy: HAProxy, request: pytest.FixtureRequest) -> RuntimeApi:
    return RuntimeApi(proxy.socket if request.param == "unix" else proxy.tcp)


@pytest.mark.parametrize("weight", [0, 1, 17, 256])
def test_weights_that_are_set_are_read_back(api: RuntimeApi, weight: int) -> None:
    assert api.set_weights({ONE: weight, TWO: 256 - weight}) == {ONE: Weight(weight, 100), TWO: Weight(256 - weight, 50)}
    assert api.weights([TWO]) == {TWO: Weight(256 - weight, 50)}
    assert [row["weight"] for row in table(*api.ask("show stat web 4 -1")) if row["svname"] == "one"] == [str(weight)]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("set weight web/three 1", NoSuchServerError),
        ("get weight web/three", NoSuchServerError),
        ("set weight web/one 257", BadWeightError),
        ("set weight web/one -1", BadWeightError),
        ("set weight web/one", BadWeightError),
        ("set weight fixed/one 7", BadWeightError),
        ("show servers state nowhere", NoSuchProxyError),
        ("show nothing", UnknownCommandError),
        ("set server web/one state sideways", RuntimeApiError),
    ],
)
def test_a_refusal_is_an_exception_of_its_kind(api: RuntimeApi, command: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=command.split()[0]) as raised:
        api.ask(command)
    assert "\n" not in str(raised.value)


def test_what_comes_before_a_refusal_is_done(api: RuntimeApi) -> None:
    with pytest.raises(NoSuchServerError, match="web/none"):
        api.set_weights({ONE: 33, NONE: 1})
    assert api.weights([ONE])[ONE].now == 33


def test_several_commands_are_one_connection(api: RuntimeApi) -> None:
    before = int(api.process()["CumConns"])
    assert len(api.ask("get weight web/one", "get weight web/two", "show info", "show stat web 6 -1")) == 4
    assert int(api.process()["CumConns"]) == before + 2


def test_a_socket_without_the_level_does_not_set(proxy: HAProxy) -> None:
    api = RuntimeApi(str(proxy.folder / "user.sock"))
    with pytest.raises(NotPermittedError, match="set weight web/one 1"):
        api.set_weights({ONE: 1})
    assert api.process()["Pid"] == str(proxy.process.pid if proxy.process else 0)


def test_statistics_are_of_the_backends_that_were_asked_for(api: RuntimeApi) -> None:
    rows = table(*api.ask("show stat web 6 -1"))
    assert [(row["pxname"], row["svname"]) for row in rows] == [("web", "one"), ("web", "two"), ("web", "BACKEND")]
    assert {"scur", "qcur", "stot", "status", "weight"} <= rows[0].keys()


def test_states_say_what_an_administrator_has_done(api: RuntimeApi) -> None:
    of_servers = {row["srv_name"]: row for row in states(*api.ask("show servers state web"))}
    assert int(of_servers["two"]["srv_admin_state"]) & 1
    assert not int(of_servers["one"]["srv_admin_state"]) & 1


def test_a_process_that_was_started_again_is_found_again(proxy: HAProxy, api: RuntimeApi) -> None:
    before = api.process()["Pid"]
    proxy.kill()
    with pytest.raises(UnreachableError, match="can't be reached"):
        api.process()
    proxy.start()
    assert api.process()["Pid"] != before
    assert api.weights([ONE]) == {ONE: Weight(100, 100)}


def test_whoever_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with pytest.raises(UnreachableError, match="timed out"):
            RuntimeApi(str(tmp_path / "s"), timeout_s=0.05).process()


@pytest.mark.parametrize("said", ["", "\n", "\n12 (initial 3)\n\n", "x" * 100, "\nfoo\n\n"])
def test_what_is_no_answer_of_haproxy_is_an_error(tmp_path: Path, said: str) -> None:
    """Never a weight that nobody has."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.sendall(said.encode())
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(RuntimeApiError):
            RuntimeApi(str(tmp_path / "s")).set_weights({ONE: 3})


@pytest.mark.parametrize("name", ["a b", "a;shutdown", "", "a\nb", "a/b"])
def test_a_name_can_not_be_a_command(name: str) -> None:
    with pytest.raises(SettingError, match="letters, digits"):
        RuntimeApi("/nowhere").set_weights({Place(name, "one"): 1})
    with pytest.raises(SettingError, match="letters, digits"):
        RuntimeApi("/nowhere").weights([Place("web", name)])


@pytest.mark.parametrize("address", ["localhost:", ":80", "localhost:x", "localhost:0", "localhost:65536"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingError, match="HOST:PORT"):
        RuntimeApi(address)


def test_no_descriptor_stays_open(api: RuntimeApi) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        api.weights([ONE])
        with pytest.raises(NoSuchServerError):
            api.weights([NONE])
    assert len(os.listdir("/proc/self/fd")) == before
    assert runtime.MAX_WEIGHT == 256


def test_the_largest_weights_are_set_first_so_that_none_is_drained_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(self: RuntimeApi, *commands: str) -> list[str]:
        asked.extend(commands)
        return [*[""] * 2, *["0 (initial 100)", "100 (initial 100)"]]

    monkeypatch.setattr(RuntimeApi, "ask", ask)
    RuntimeApi("/nowhere").set_weights({ONE: 0, TWO: 100})
    assert [command.split()[-1] for command in asked[:2]] == ["100", "0"]


def test_states_that_are_cut_short_are_an_error() -> None:
    with pytest.raises(RuntimeApiError, match="can't be read"):
        states("1\n# be_id srv_name srv_iweight\n3 s1")
