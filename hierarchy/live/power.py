"""Switching servers on before they get weight, and off after they are drained, by a program that somebody gives.

Without one a drained server goes on running: what it would save is in the accounts, and not on the bill. A server that is
switched off must serve nothing else; other backends of HAProxy are not asked.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.validation import SettingError, check, setting
from envs.haproxy.looking import Seen

Word = Literal["on", "off"]
Call = Callable[[Sequence[str], str, Word, float], str]
RETRY_S = 5.0
"""Between a call that has failed and the next one for the same server."""
PAUSE_S = 0.02
NOT_SAVED, SAVED = "accounted, not saved", "saved"
"""What drained servers would cost."""


@dataclass(frozen=True)
class PowerConfig:
    """A program that switches servers."""

    command: list[str] = field(default_factory=list)
    """program and arguments; it is called with the name of a server and on or off, and done when it ends with 0"""
    timeout_s: float = setting(60.0, gt=0, le=3_600)
    """seconds after which a call is ended, and has failed"""
    grace_s: float = setting(5.0, ge=0, le=86_400)
    """seconds that a server has no weight and no requests until it is switched off"""

    def __post_init__(self) -> None:
        check(self)
        if self.command and not self.command[0]:
            raise SettingError("command", "a program and arguments", self.command)


class Powered(NamedTuple):
    """How servers are switched."""

    drained: str = NOT_SAVED  # what drained servers would cost: "saved", or "accounted, not saved"
    off: tuple[str, ...] = ()  # servers that are switched off by us, or are just being
    failures: tuple[str, ...] = ()  # of this step


def call(command: Sequence[str], server: str, word: Word, timeout_s: float) -> str:
    """Switch a server; what went wrong, empty if nothing. A program that takes too long is ended."""
    try:
        with subprocess.Popen(
            [*command, server, word], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return f"took more than {timeout_s:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return f"ended with {code}" if code else ""


class Power:
    """Switches servers as their weights say; each call is in a thread of its own, and a server has one at most.

    Parameters
    ----------
    config
        By what; without a command nothing is ever switched, and all servers count as on.
    servers
        Their names ``(S,)``.
    least_in_service
        Servers that are on, as far as there are as many.
    call
        Switches a server.
    now
        Seconds on a clock that never goes back.

    Attributes
    ----------
    n_calls, n_failed
        Calls that were made, and those that did not do it.
    """

    def __init__(
        self,
        config: PowerConfig,
        servers: Sequence[str],
        least_in_service: int = 1,
        call: Call = call,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._servers, self._least, self._call, self._now = config, list(servers), least_in_service, call, now
        n = len(self._servers)
        self._is_on: BoolArray | None = None  # (S,) known to be on; None before the first look
        self._is_off: BoolArray = np.zeros(n, np.bool_)  # known to be off; after a call that has failed neither
        self._is_ours: BoolArray = np.zeros(n, np.bool_)  # switched off by us
        self._runs: dict[int, Word] = {}  # calls that are not over, by server
        self._done: queue.SimpleQueue[tuple[int, Word, str]] = queue.SimpleQueue()
        self._again_s: FloatArray = np.full(n, -np.inf)
        self._busy_s: FloatArray = np.full(n, -np.inf)  # when it last had weight or requests
        self._failures: list[str] = []
        self.n_calls = self.n_failed = 0

    @property
    def off(self) -> list[str]:
        """Servers that are to be on at the end: switched off by us, as far as we know, or just being switched."""
        return [name for s, name in enumerate(self._servers) if self._is_ours[s] or s in self._runs]

    def powered(self) -> Powered:
        """How servers are switched; failures are those since the last call. What a call has failed at costs on."""
        failures, self._failures = tuple(self._failures), []
        going = np.array([s in self._runs for s in range(len(self._servers))])
        failed = self._is_ours & ~self._is_off & ~going  # to be on at the end, but never seen to be off
        off = tuple(name for s, name in enumerate(self._servers) if (self._is_ours[s] and not failed[s]) or going[s])
        return Powered(SAVED if self._config.command and not failed.any() else NOT_SAVED, off, failures)

    def ready(self, seen: Seen) -> BoolArray:
        """Servers ``(S,)`` that may have weight: they have some, or are switched on and up."""
        if not self._config.command:
            return np.ones(len(self._servers), np.bool_)
        self._take_results()
        has_weight = (seen.weights > 0).any(0)
        if self._is_on is None:
            self._is_on = np.asarray(has_weight | ~seen.look.down)
            self._is_off = ~self._is_on
        is_settled = np.array([s not in self._runs for s in range(len(self._servers))])
        return np.asarray(has_weight | (self._is_on & is_settled & ~seen.look.down))

    def follow(self, wanted: BoolArray, seen: Seen) -> None:
        """Begin to switch servers on that are ``wanted (S,)``, and off that are not, are drained and have nothing to do."""
        if not self._config.command:
            return
        self._take_results()
        assert self._is_on is not None
        now_s = self._now()
        wanted = self._enough(wanted, seen)
        is_busy = wanted | (seen.weights > 0).any(0) | (seen.look.n_flows > 0).any(0)
        never = np.isneginf(self._busy_s)
        self._busy_s = np.where(is_busy | never, now_s, self._busy_s)
        is_due = now_s - self._busy_s >= self._config.grace_s
        for s in range(len(self._servers)):
            if s in self._runs or seen.untouchable[s] or now_s < self._again_s[s]:
                continue
            if wanted[s] and not self._is_on[s]:
                self._begin(s, "on")
            elif not is_busy[s] and is_due[s] and not self._is_off[s]:
                self._begin(s, "off")

    def all_on(self) -> bool:
        """Switch on what we have switched off, and wait for it; whether that was done."""
        until_s = self._now() + 2 * self._config.timeout_s  # a call that is under way is waited for, too
        asked: set[int] = set()
        while self._runs or (self._is_ours.any() and set(np.flatnonzero(self._is_ours)) - asked):
            for s in np.flatnonzero(self._is_ours).tolist():
                if s not in self._runs and s not in asked:
                    asked.add(s)
                    self._begin(s, "on")
            if self._now() > until_s:
                break
            time.sleep(PAUSE_S)
            self._take_results()
        return not self.off

    def _enough(self, wanted: BoolArray, seen: Seen) -> BoolArray:
        """With so many more servers, those that are on first, that enough are in service."""
        usable = ~seen.untouchable
        n_missing = min(self._least, int(usable.sum())) - int((wanted & usable).sum())
        if n_missing <= 0:
            return wanted
        assert self._is_on is not None
        others = np.flatnonzero(usable & ~wanted)
        chosen = others[np.argsort(~self._is_on[others], kind="stable")[:n_missing]]
        more = wanted.copy()
        more[chosen] = True
        return more

    def _begin(self, server: int, word: Word) -> None:
        self._runs[server], self.n_calls = word, self.n_calls + 1
        if word == "off":
            self._is_ours[server] = True  # whatever comes of it: it is to be on at the end
        name, config = self._servers[server], self._config

        def run() -> None:
            self._done.put((server, word, self._call(config.command, name, word, config.timeout_s)))

        threading.Thread(target=run, name=f"power {name}", daemon=True).start()

    def _take_results(self) -> None:
        while not self._done.empty():
            server, word, wrong = self._done.get()
            del self._runs[server]
            assert self._is_on is not None
            self._is_on[server], self._is_off[server] = not wrong and word == "on", not wrong and word == "off"
            if wrong:
                self.n_failed += 1
                self._failures.append(f"{self._servers[server]} {word}: {wrong}")
                self._again_s[server] = self._now() + RETRY_S
            elif word == "on":
                self._is_ours[server] = False
