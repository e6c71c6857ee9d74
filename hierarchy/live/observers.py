"""Observers of steps, none of which can stop the loop: each has a thread and a queue of its own."""

from __future__ import annotations

import functools
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, Self

from envs.core.validation import one_line
from hierarchy.live.controller import Decision
from hierarchy.live.reports import Report

MOST_WAITING = 1_000
"""Steps that wait for an observer; those that come while there are as many are left out for it, and counted."""
END_S = 3.0
"""How long the last steps of an observer are waited for at the end."""


class Observer(Protocol):
    """Takes in steps; it may fail, and it may take its time."""

    @property
    def name(self) -> str:
        """One word, for who reads that it has failed."""

    def observe(self, report: Report) -> None:
        """Take in a step."""

    def close(self) -> None:
        """There are no more."""


class Observers:
    """Hands steps to observers; use as a context manager, which waits for them at the end, though not for long.

    Parameters
    ----------
    report
        Makes a report of a decision, and of how often observers have failed.
    observers
        Who is handed every step.
    """

    def __init__(self, report: Callable[[Decision, dict[str, int]], Report], observers: Sequence[Observer]) -> None:
        self._report, self._failures = report, _Failures("the report")
        self._fed = [_Fed(observer) for observer in observers]

    def observe(self, decision: Decision) -> None:
        """Hand over a step; it neither waits nor fails."""
        try:
            report = self._report(decision, self.failures)
        except Exception as error:
            self._failures.add(one_line(error))
            return
        for one in self._fed:
            one.hand(report)

    @property
    def failures(self) -> dict[str, int]:
        """Steps that could not be told, that an observer has failed at, or that were left out for it, by name."""
        return {one.name: one.n for one in (self._failures, *(fed.failures for fed in self._fed))}

    def close(self) -> None:
        """Hand out no more."""
        for one in self._fed:
            one.end()
        for one in self._fed:
            one.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Failures:
    """Counts, and says so once."""

    def __init__(self, name: str) -> None:
        self.name, self.n = name, 0
        self._lock = threading.Lock()

    def add(self, why: str) -> None:
        with self._lock:
            self.n += 1
            is_first = self.n == 1
        if is_first:  # in a thread, since nobody may read what is written there, either
            line = f"metabalance: {self.name} has failed ({why}); steering goes on, and this is not said again"
            threading.Thread(target=_say, args=(line,), daemon=True).start()


class _Fed:
    """An observer in a thread."""

    def __init__(self, observer: Observer) -> None:
        self._observer, self.failures = observer, _Failures(observer.name)
        self._is_over = threading.Event()
        self._waiting: queue.Queue[Report | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name=observer.name, daemon=True)
        self._thread.start()

    def hand(self, report: Report | None) -> None:
        try:
            self._waiting.put_nowait(report)
        except queue.Full:
            self.failures.add(f"{MOST_WAITING} steps wait for it")

    def end(self) -> None:
        self._is_over.set()
        self.hand(None)

    def join(self) -> None:
        self._thread.join(END_S)
        if self._thread.is_alive():
            self.failures.add(f"it has not ended within {END_S:g} s")

    def _run(self) -> None:
        while not (self._is_over.is_set() and self._waiting.empty()):
            report = self._waiting.get()
            if report is not None:
                self._try(functools.partial(self._observer.observe, report))
        self._try(self._observer.close)

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:
            self.failures.add(one_line(error))


def _say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return  # nobody is there to be told
