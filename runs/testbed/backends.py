"""The servers behind HAProxy, all in one process of their own, as they are started, told and stopped from here."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import IntArray
from envs.load_balancing.config import ServerPool
from runs.testbed import web_server
from runs.testbed.errors import BedError

ROOT = Path(__file__).parents[2]
START_S, ANSWER_S, END_S = 20.0, 10.0, 5.0


class ServerCounts(NamedTuple):
    """Requests of each server ``(S,)`` since the start, see :class:`runs.testbed.web_server.Counts`."""

    arrived: IntArray
    answered: IntArray
    rejected: IntArray
    lost: IntArray
    inside: IntArray


class Backends:
    """A context: the servers of a pool run within it, and end with this process whatever happens to it.

    Each has `cores` workers that serve first come, first served, and at most `max_flows` requests; see
    :mod:`runs.testbed.web_server` for what they say.

    Parameters
    ----------
    names
        Of the servers, ``(S,)``; answers carry them.
    log
        File that takes what the process says of itself.

    Attributes
    ----------
    ports
        Of the servers, ``(S,)``; they keep them when they stop.
    """

    def __init__(self, pool: ServerPool, names: Sequence[str], log: Path) -> None:
        each = zip(names, pool.cores, pool.speed, strict=True)
        self._settings = [web_server.ServerSettings(*one, max_flows=int(pool.max_flows)) for one in each]
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.ports: list[int] = []

    def __enter__(self) -> Backends:
        words = [sys.executable, "-m", "runs.testbed.serving"]
        pipe = subprocess.PIPE
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                words, stdin=pipe, stdout=pipe, stderr=log, text=True, cwd=ROOT, start_new_session=True
            )
        try:
            self._tell([asdict(one) for one in self._settings])
            self.ports = self._answer(START_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(END_S)
        except (OSError, subprocess.TimeoutExpired):
            pass
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return None if self._process is None else self._process.pid

    def slow_down(self, server: int, factor: float) -> None:
        """Let a server go on at its speed times a factor; 1 is as configured."""
        self._tell({"do": "slow", "server": server, "factor": factor})

    def stop(self, server: int) -> None:
        """Close the port and all connections of a server at once: the requests in it are lost."""
        self._tell({"do": "stop", "server": server})

    def start(self, server: int) -> None:
        """Let a server that was stopped serve again, on its port."""
        self._tell({"do": "start", "server": server})

    def counts(self) -> ServerCounts:
        """What became of requests so far.

        Raises
        ------
        BedError
            The process has ended.
        """
        self._tell({"do": "counts"})
        told = self._answer(ANSWER_S)
        return ServerCounts(*(np.array([one[name] for one in told], np.int64) for name in ServerCounts._fields))

    def _tell(self, command: Any) -> None:
        if self._process is None:
            raise BedError("the servers are not running")
        assert self._process.stdin is not None
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
        except OSError:
            raise BedError(f"the servers have ended: {self._last_words()}") from None

    def _answer(self, within_s: float) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], within_s)[0]:
            raise BedError(f"the servers do not answer within {within_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise BedError(f"the servers have ended: {self._last_words()}")
        return json.loads(line)

    def _last_words(self) -> str:
        return (self._log.read_text(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
