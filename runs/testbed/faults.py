"""What goes wrong on purpose while a load runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from envs.core.validation import SettingError, build, check, setting
from runs.testbed.errors import BedError

NUMBERS: tuple[tuple[str, Callable[[str], float]], ...] = (("server", int), ("factor", float))
"""What may follow the kind of a fault in words."""
FaultKind = Literal["slow", "stop", "start", "kill_proxy", "start_proxy"]


@dataclass(frozen=True)
class Fault:
    """One thing that happens, at an instant of the load."""

    at_s: float = setting(ge=0)
    """seconds since the start of the load"""
    kind: FaultKind = "stop"
    """slow lets a server go on at its speed times `factor`, stop ends it with all requests in it and start lets it serve
    again, kill_proxy and start_proxy do the same to HAProxy"""
    server: int = setting(0, ge=0)
    """which server, from 0"""
    factor: float = setting(1.0, ge=0, le=1)
    """of the configured speed, for kind slow; 1 ends a slow-down"""

    def __post_init__(self) -> None:
        check(self)


def fault_of(words: str) -> Fault:
    """A fault of AT_S:KIND, AT_S:KIND:SERVER or AT_S:KIND:SERVER:FACTOR, as in 60:slow:1:0.333.

    Raises
    ------
    SettingError
        It is none.
    """
    at_s, _, rest = words.partition(":")
    kind, *numbers = rest.split(":")
    try:
        values: dict[str, Any] = {"at_s": float(at_s), "kind": kind}
        values |= {name: read(text) for (name, read), text in zip(NUMBERS, numbers, strict=False)}
        if len(numbers) > len(NUMBERS):
            raise ValueError
    except ValueError:
        raise SettingError("fault", "AT_S:KIND, AT_S:KIND:SERVER or AT_S:KIND:SERVER:FACTOR", words) from None
    return build(Fault, values)


def check_faults(faults: Sequence[Fault], n_servers: int, end_s: float, end: str) -> None:
    """Hold faults against how many servers there are, and when it is over.

    Raises
    ------
    SettingError
        A fault is of no server, or after the ``end``, which is at ``end_s``.
    """
    for place, fault in enumerate(faults):
        if fault.at_s > end_s:
            raise SettingError(f"faults[{place}].at_s", f"<= {end_s:g}, {end}", fault.at_s)
        if fault.server >= n_servers:
            raise SettingError(f"faults[{place}].server", f"< {n_servers}, the servers", fault.server)


class Troubles:
    """A thread in which things happen at instants of the monotonic clock; it lives until :meth:`end`.

    A process that is started there ends with the thread.

    Parameters
    ----------
    events
        Instants in s, and what happens then.
    """

    def __init__(self, events: Sequence[tuple[float, Callable[[], None]]]) -> None:
        self._events = sorted(events, key=lambda event: event[0])
        self._is_over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for at_s, happen in self._events:
            if self._is_over.wait(max(at_s - time.monotonic(), 0.0)):
                return
            try:
                happen()
            except Exception as error:  # told at the end, by whoever waits for it
                self._error = error
                break
        self._is_over.wait()

    def end(self) -> None:
        """Let nothing more happen.

        Raises
        ------
        BedError
            Something that was to happen could not.
        """
        self._is_over.set()
        self._thread.join()
        if self._error is not None:
            raise BedError(f"a fault could not be made ({self._error})")
