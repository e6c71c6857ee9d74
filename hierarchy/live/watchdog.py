"""A process that puts the weights of HAProxy's configuration file back when a controller does not decide any more.

It does nothing else. Its standard input has a :class:`Charge` first, then a line for every good decision, which lists the
servers that the controller has switched off. When none has come for `ttl_s`, because the controller was killed or hangs, it
gives every server in its charge its initial weight, and switches on what was off. It ends then, or when it is told to.

* Servers in MAINT or DRAIN in one of the backends keep the weight that they have, as a controller leaves them.
* A HAProxy that can't be reached is tried again for `PATIENCE_S`.
* A backend that another controller steers by now is left to it. While weights are put back for a controller that is gone,
  the backend is this process's: a new controller waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import syslog
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from envs.core.validation import SettingError
from envs.haproxy.runtime import NoSuchProxyError, Place, RuntimeApi, RuntimeApiError, states
from hierarchy.live.owning import is_free, taken

PATIENCE_S, PAUSE_S = 60.0, 0.2
READY, END = "ready", "end"
AT_ONCE = 1 << 16
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a whole group or service: whoever gets them besides may be the controller, before it is done."""


class Charge(NamedTuple):
    """What a watchdog is for."""

    address: str  # of HAProxy's stats socket
    backends: Sequence[str]
    servers: Sequence[str]  # the same in all backends
    ttl_s: float
    power: Sequence[str] = ()  # program and arguments that switch a server, see `hierarchy.live.power`
    power_timeout_s: float = 60.0

    def line(self) -> str:
        """As it is told."""
        return json.dumps(self._asdict()) + "\n"


class Told:
    """What comes in at a pipe, line by line.

    Attributes
    ----------
    is_open
        Whether somebody is there who may yet tell something.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._rest = descriptor, b""
        self.is_open = True

    def within(self, seconds: float) -> list[str]:
        """Lines that come, as soon as one does; none when time is over."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            if not self.is_open:
                time.sleep(left_s)
                return []
            if not select.select([self._descriptor], [], [], left_s)[0]:
                return []
            data = os.read(self._descriptor, AT_ONCE)
            self.is_open = bool(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            if lines:
                return [line.decode(errors="replace") for line in lines]
        return []


def watch(charge: Charge, told: Told) -> bool:
    """Wait until nothing was decided for too long, and put weights back; whether that was done."""
    off: list[str] = []
    tried_since_s: float | None = None
    while True:
        lines = told.within(charge.ttl_s if tried_since_s is None else PAUSE_S)
        if END in lines:
            return False
        if lines:
            off, tried_since_s = _off(lines[-1], off), None
            continue
        tried_since_s = time.monotonic() if tried_since_s is None else tried_since_s
        try:
            restored = restore(charge, told.is_open)
        except RuntimeApiError as error:
            if time.monotonic() - tried_since_s < PATIENCE_S:
                continue
            syslog.syslog(syslog.LOG_ERR, f"no weights could be put back ({error})")
            _switch_on(charge, off)
            return False
        syslog.syslog(
            syslog.LOG_WARNING, f"nothing decided for {charge.ttl_s:g} s; configured weights: {restored or 'none'}"
        )
        if restored:
            _switch_on(charge, off)
        return bool(restored)


def restore(charge: Charge, is_led: bool) -> list[str]:
    """Give servers their initial weights; returns the backends in which that was done.

    Parameters
    ----------
    is_led
        Whether the controller is there yet: it has the backends then, and nobody else can.

    Raises
    ------
    RuntimeApiError
        HAProxy can't be reached, or refuses.
    """
    with contextlib.ExitStack() as stack:
        free = []
        for backend in charge.backends:
            held = None if is_led else taken(charge.address, backend)
            if held is not None:
                stack.enter_context(held)
            if is_led or held is not None or is_free(charge.address, backend):
                free.append(backend)
        return [] if not free else _restored(RuntimeApi(charge.address), charge, free)


def _restored(api: RuntimeApi, charge: Charge, free: Sequence[str]) -> list[str]:
    found: dict[Place, dict[str, str]] = {}
    for backend in charge.backends:
        with contextlib.suppress(NoSuchProxyError):
            (answer,) = api.ask(f"show servers state {backend}")
            found |= {Place(backend, row["srv_name"]): row for row in states(answer) if row["srv_name"] in charge.servers}
    untouchable = {place.server for place, row in found.items() if int(row["srv_admin_state"]) != 0}
    wanted = {
        place: int(row["srv_iweight"])
        for place, row in found.items()
        if place.backend in free and place.server not in untouchable and row["srv_uweight"] != row["srv_iweight"]
    }
    if wanted:
        api.set_weights(wanted)
    return [backend for backend in free if any(place.backend == backend for place in found)]


def _off(line: str, before: list[str]) -> list[str]:
    """Servers that are switched off, as a line says."""
    with contextlib.suppress(ValueError):
        return [str(name) for name in json.loads(line)]
    return before


def _switch_on(charge: Charge, off: Sequence[str]) -> None:
    """Switch servers on, all at once; what fails can't be told to anybody but the system's log."""
    if not charge.power:
        return
    calls: dict[str, subprocess.Popen[bytes]] = {}
    for server in off:
        with contextlib.suppress(OSError):
            calls[server] = subprocess.Popen(
                [*charge.power, server, "on"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
    until_s = time.monotonic() + charge.power_timeout_s
    for server, call in calls.items():
        with contextlib.suppress(subprocess.TimeoutExpired):
            if call.wait(max(until_s - time.monotonic(), 0.0)) == 0:
                continue
        syslog.syslog(syslog.LOG_ERR, f"{server} could not be switched on")


def main() -> None:
    """Watch as standard input says."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    syslog.openlog("metabalance-watchdog", syslog.LOG_PID)
    told = Told(sys.stdin.fileno())
    first: list[str] = []
    while told.is_open and not first:
        first = told.within(PATIENCE_S)
    if not first:
        return
    values: dict[str, Any] = json.loads(first[0])
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), f"{READY}\n".encode())
    if END in first:
        return
    with contextlib.suppress(SettingError):  # names that HAProxy can't have
        watch(Charge(**values), told)


if __name__ == "__main__":
    main()
