"""A controller as it steers, in a terminal."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Footer, Static

from hierarchy.stopping import INTERRUPTED
from runs.terminal import panes
from runs.terminal.asking import Address, NoAnswerError, ask

CSS = """
Screen { layout: vertical; overflow: hidden; }
Static { text-wrap: nowrap; text-overflow: ellipsis; }
#title, #status { height: 1; }
#old { height: 1; color: $text; background: $error; display: none; }
#old.shown { display: block; }
.pane { border: round $primary; border-title-color: $text; padding: 0 1; }
#servers { height: auto; max-height: 45%; min-height: 4; }
#middle { height: 6; }
#mix { width: 1fr; height: 100%; }
#window { width: 2fr; height: 100%; }
#recent { height: 1fr; min-height: 3; }
.old { opacity: 50%; }
"""
PANES = ("servers", "mix", "window", "recent")


class Top(App[None]):
    """Asks again and again, and goes on when nobody answers.

    Parameters
    ----------
    address
        Of the controller.
    every_s
        How often it is asked.
    """

    TITLE = "metabalance top"
    CSS = CSS
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "end"),
        Binding("ctrl+c", "quit", "end", show=False, priority=True),
    ]

    def __init__(self, address: Address, every_s: float) -> None:
        super().__init__()
        self._address, self._every_s = address, every_s
        self._state: dict[str, Any] | None = None
        self._answered_s = time.monotonic()
        self._is_asking = False

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        yield Static(id="status")
        yield Static(id="old")
        with VerticalScroll(classes="pane", id="servers"):
            yield Static(id="servers_text")
        with Horizontal(id="middle"):
            yield Static(classes="pane", id="mix")
            yield Static(classes="pane", id="window")
        yield Static(classes="pane", id="recent")
        yield Footer()

    def on_mount(self) -> None:
        for name, title in zip(PANES, ("servers and weights", "mix", "objective", "last decisions, in UTC"), strict=True):
            self.query_one(f"#{name}").border_title = title
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)
        self.set_interval(self._every_s, self._poll)
        self._poll()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _end(self) -> None:
        self.exit(return_code=INTERRUPTED)

    def _poll(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._ask()

    @work(thread=True)
    def _ask(self) -> None:
        try:
            state: dict[str, Any] | None = ask(self._address)
            why = ""
        except NoAnswerError as error:
            state, why = None, str(error)
        with suppress(RuntimeError):  # it has ended meanwhile
            self.call_from_thread(self._answered, state, why)

    def _answered(self, state: dict[str, Any] | None, why: str) -> None:
        self._is_asking = False
        if not self.query("#old"):
            return  # it is ending
        if state is not None:
            self._state, self._answered_s = state, time.monotonic()
            try:
                self._show()
            except (KeyError, IndexError, TypeError, ValueError, AttributeError):
                self._state, why = None, "it is no metabalance serve of this version"
        since = panes.age(time.monotonic() - self._answered_s)
        old = self.query_one("#old", Static)
        old.update(
            Text(f" no answer from {self._address} for {since}: {panes.clean(why)}", no_wrap=True, overflow="ellipsis")
        )
        old.set_class(bool(why), "shown")
        for name in (*PANES, "status"):
            self.query_one(f"#{name}").set_class(bool(why), "old")

    def _show(self) -> None:
        state = self._state
        if state is None or not self.query("#old"):
            return
        found = state.get("window")
        self.query_one("#window").border_title = "objective" if found is None else f"objective of window {found['number']}"
        self._put("#title", lambda width, height: panes.title(state))
        self._put("#status", lambda width, height: panes.status(state))
        self._put("#servers_text", lambda width, height: panes.servers(state, width))
        self._put("#mix", lambda width, height: panes.mix(state, width))
        self._put("#window", lambda width, height: panes.window(state, width))
        self._put("#recent", lambda width, height: panes.decisions(state, height))

    def _put(self, name: str, draw: Callable[[int, int], Any]) -> None:
        widget = self.query_one(name, Static)
        widget.update(draw(widget.content_size.width, widget.content_size.height))
