"""A terminal shows what a controller serves, says when nobody answers, and goes on once somebody does."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from envs.core.validation import SettingError
from hierarchy.live.health import Health
from hierarchy.live.http import Answer, Http, HttpConfig
from runs.terminal.asking import PORT, Address, NoAnswerError, address_of, ask
from tests.hierarchy.live.told import DRAINED, SUBJECT, WINDOW, Source, report

pytest.importorskip("textual")

from textual.geometry import Size
from textual.pilot import Pilot
from textual.widgets import Static

from runs.terminal.top import PANES, Top

SIZES = [(80, 24), (120, 40)]


@dataclass
class Served:
    health: Health
    http: Http

    @property
    def address(self) -> Address:
        return address_of(self.http.address)


def http_of(health: Health, port: int = 0) -> Http:
    return Http(HttpConfig(port=port), {"/state": lambda: Answer(json.dumps(health.state()).encode())})


@pytest.fixture
def served() -> Iterator[Served]:
    health = Health(SUBJECT, Source(log_age_s=0.1), 5)  # type: ignore[arg-type]
    health.observe(report(1, WINDOW))
    health.observe(report(2, WINDOW, interventions=(DRAINED,)))
    with http_of(health) as http:
        yield Served(health, http)


async def until(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    for _ in range(200):
        if is_so():
            return
        await pilot.pause(0.02)
    pytest.fail(shown(pilot.app))


def shown(app: Any) -> str:
    """The screen, line by line."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("size", SIZES)
def test_all_that_is_served_is_on_the_screen(served: Served, size: tuple[int, int]) -> None:
    async def run() -> None:
        app = Top(served.address, 0.1)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "as decided" in shown(app) and "q end" in shown(app))
            screen = shown(app)
            for word in ("writes weights", "ready", "s1", "maint", "web_batch", "256", "fairness 0.20", "profit 1.50 $/h"):
                assert word in screen, screen
            for word in ("interactive 75 %", "window 1", "in service 1", "12.5/s"):
                assert word in screen, screen
            assert all(Size(*size).region.contains_region(app.query_one(f"#{name}").region) for name in PANES)
            picture = app.export_screenshot()
            assert picture.startswith("<svg")
            assert "web_interactive" in picture.replace("&#160;", " ")

    asyncio.run(run())


def test_what_comes_next_is_shown(served: Served) -> None:
    async def run() -> None:
        app = Top(served.address, 0.1)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "as decided" in shown(app))
            served.health.observe(report(3, WINDOW, held_because="HAProxy is gone"))
            await until(pilot, lambda: "NOT READY: weights are held: HAProxy is gone" in shown(app))
            assert "held: HAProxy is gone" in shown(app)

    asyncio.run(run())


def test_it_outlives_the_controller(served: Served) -> None:
    async def run() -> None:
        app = Top(served.address, 0.1)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "as decided" in shown(app))
            served.http.close()
            await until(pilot, lambda: f"no answer from {served.address}" in shown(app))
            assert "Connection refused" in shown(app)
            assert "s1" in shown(app), "what was last known stays"
            with http_of(served.health, served.address.port):
                await until(pilot, lambda: "no answer" not in shown(app))

    asyncio.run(run())


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_a_key_ends_it(served: Served, key: str) -> None:
    async def run() -> None:
        app = Top(served.address, 0.1)
        async with app.run_test() as pilot:
            await pilot.press(key)
            await pilot.pause()
            assert not app.is_running
            assert app.return_code == 0

    asyncio.run(run())


def test_an_answer_that_comes_while_it_ends_is_left_alone(served: Served) -> None:
    async def run() -> None:
        app = Top(served.address, 60.0)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "as decided" in shown(app))
            await app.screen.query("*").remove()
            app._answered(served.health.state(), "")
            app._show()

    asyncio.run(run())


OTHERS = {
    "no JSON": b"hello",
    "another": b'{"a": 1}',
    "a list": b"[1]",
    "of another version": b'{"servers": 1, "backends": [], "recent": 3, "unready_because": null}',
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_served_by_others_is_no_answer(name: str) -> None:
    async def run(address: Address) -> None:
        app = Top(address, 0.1)
        async with app.run_test() as pilot:
            await until(pilot, lambda: "it is no metabalance serve" in shown(app))

    with Http(HttpConfig(port=0), {"/state": lambda: Answer(OTHERS[name])}) as http:
        asyncio.run(run(address_of(http.address)))


def test_who_never_answers_does_not_hold_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(address: Address) -> None:
        app = Top(address, 0.1)
        async with app.run_test() as pilot:
            assert isinstance(app.query_one("#title"), Static)
            await pilot.press("q")
            assert not app.is_running

    monkeypatch.setattr("runs.terminal.asking.TIMEOUT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(run(Address("127.0.0.1", silent.getsockname()[1])))


def test_an_answer_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.terminal.asking.MOST_BYTES", 100)
    with (
        Http(HttpConfig(port=0), {"/state": lambda: Answer(b'{"a": "' + b"a" * 1_000 + b'"}')}) as http,
        pytest.raises(NoAnswerError),
    ):
        ask(address_of(http.address))
    assert not any(one.name == "http" for one in threading.enumerate())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9000", Address("127.0.0.1", 9000)),
        ("host", Address("host", PORT)),
        ("http://host:1/", Address("host", 1)),
        ("[::1]:9000", Address("::1", 9000)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert address_of(text) == address
    assert address_of(str(address)) == address


@pytest.mark.parametrize("text", ["", ":9000", "host:port", "host:70000", "https://host", "host/path", "a:1:2"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="address must be HOST:PORT, got"):
        address_of(text)
