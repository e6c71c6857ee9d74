"""An event loop whose timers are exact to some tens of microseconds."""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
MAX_SELECTABLE = 1024
"""Descriptors that `select` takes are below this."""


class PreciseSelector(selectors.EpollSelector):
    """Waits to the microsecond, where epoll by itself waits whole milliseconds, rounded up."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self.fileno() >= MAX_SELECTABLE:
            return super().select(timeout)
        select.select([self.fileno()], [], [], timeout)
        return super().select(0)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of a coroutine that ``main`` gives, run on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(PreciseSelector())) as runner:
        return runner.run(main())
