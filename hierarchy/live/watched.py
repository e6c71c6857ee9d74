"""The controller's end of a watchdog: a process that is started, told of every good decision, and told to end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.live.watchdog import END, READY, Charge

ROOT = Path(__file__).parents[2]
START_S, END_S = 30.0, 5.0


class Watched:
    """A context: a watchdog runs within it, in a session of its own, and outlives whatever ends this process.

    One that has ended, since it has put weights back or was killed, is replaced at a good decision, once in a `ttl_s`.

    Parameters
    ----------
    charge
        What it is for.
    now
        Seconds on a clock that never goes back.

    Attributes
    ----------
    n_started
        How many there were.
    is_done
        Whether weights are those of the configuration file, when the context is left: it ends without restoring then.

    Raises
    ------
    SettingError
        It does not start.
    """

    def __init__(self, charge: Charge, now: Callable[[], float] = time.monotonic) -> None:
        self._charge, self._now = charge, now
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self.n_started = 0
        self.is_done = True

    def __enter__(self) -> Watched:
        self._start()
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        if not ready or os.read(self._process.stdout.fileno(), 64).decode().strip() != READY:
            self._tell(END)
            raise SettingError("watchdog", "a process that starts", f"none within {START_S:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        if self.is_done:
            with contextlib.suppress(OSError):
                os.write(process.stdin.fileno(), f"{END}\n".encode())
        process.stdin.close()
        process.stdout.close()
        if self.is_done:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(END_S)

    @property
    def pid(self) -> int | None:
        """Of the process that there is."""
        return None if self._process is None else self._process.pid

    def beat(self, off: Sequence[str] = ()) -> None:
        """There was a good decision, from the first of which on there is something to put back; ``off`` are servers that
        are switched off.
        """
        self.is_done = False
        if self._process is not None and self._process.poll() is not None:
            if self._now() - self._started_s < self._charge.ttl_s:
                return
            self._close()
            self._start()
        self._tell(json.dumps(list(off)))

    def _start(self) -> None:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        words = [sys.executable, "-m", "hierarchy.live.watchdog"]
        self._process = subprocess.Popen(
            words, stdin=pipe, stdout=pipe, stderr=nothing, cwd=ROOT, start_new_session=True, bufsize=0
        )
        self._started_s, self.n_started = self._now(), self.n_started + 1
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is seen to have ended at the next decision
            self._process.stdin.write(self._charge.line().encode())
        os.set_blocking(self._process.stdin.fileno(), False)

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # a watchdog that has ended, or does not read, stops nobody
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())

    def _close(self) -> None:
        assert self._process is not None
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
