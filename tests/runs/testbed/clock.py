"""A clock without real time, for what only asks for the time and sets timers."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, cast


class Timer:
    def __init__(self) -> None:
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """Timers run in order, each as much later than it should as is told."""

    def __init__(self, lateness_s: Callable[[], float] = lambda: 0.0) -> None:
        self.now_s, self._lateness_s = 0.0, lateness_s
        self._due: list[tuple[float, int, Timer, Callable[[], None]]] = []
        self._number = itertools.count()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)

    def time(self) -> float:
        return self.now_s

    def call_at(self, when_s: float, do: Callable[..., None], *arguments: Any) -> Timer:
        timer = Timer()
        heapq.heappush(self._due, (when_s, next(self._number), timer, lambda: do(*arguments)))
        return timer

    def run_until(self, end_s: float = float("inf")) -> None:
        while self._due and self._due[0][0] <= end_s:
            when_s, _, timer, do = heapq.heappop(self._due)
            if not timer.is_cancelled:
                self.now_s = max(self.now_s, min(when_s + self._lateness_s(), end_s))
                do()
        self.now_s = max(self.now_s, end_s) if end_s < float("inf") else self.now_s
