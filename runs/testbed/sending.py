"""A load from a process of its own, so that whoever steers the balancer meanwhile does not hold it up."""

from __future__ import annotations

import multiprocessing
import multiprocessing.pool
import signal
import time
from collections.abc import Sequence

from runs.testbed import load
from runs.testbed.errors import BedError
from runs.testbed.load import Answers, LoadConfig
from runs.testbed.open_files import allow_most
from runs.testbed.precise import run
from runs.testbed.requests import Schedule

PATIENCE_S = 30.0
"""After the last request has been given up."""


class Sending:
    """A load that is being sent."""

    def __init__(self, result: multiprocessing.pool.AsyncResult[Answers], until_s: float) -> None:
        self._result, self._until_s = result, until_s

    @property
    def is_over(self) -> bool:
        """Whether all requests have been answered or given up."""
        return self._result.ready()

    def answers(self) -> Answers:
        """What became of the requests; waits for it.

        Raises
        ------
        BedError
            Whoever sends does not come to an end.
        """
        try:
            return self._result.get(max(self._until_s - time.monotonic(), 0.0))
        except multiprocessing.TimeoutError:
            raise BedError("the load does not come to an end") from None


class Sender:
    """A context: a process that sends loads, one after another, and is ended with the block."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(1, _begin)
        self._pool.apply(time.monotonic)  # it is there

    def send(
        self, schedule: Schedule, ports: Sequence[int], servers: Sequence[str], config: LoadConfig, start_s: float
    ) -> Sending:
        """As :func:`runs.testbed.load.send`, without waiting; ``start_s`` is an instant of the monotonic clock."""
        result = self._pool.apply_async(_send, (schedule, tuple(ports), tuple(servers), config, start_s))
        return Sending(result, start_s + schedule.last_s + config.timeout_s + PATIENCE_S)

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()
        self._pool.join()


def _begin() -> None:
    """An interrupt is for whoever waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    allow_most()


def _send(schedule: Schedule, ports: Sequence[int], servers: Sequence[str], config: LoadConfig, start_s: float) -> Answers:
    return run(lambda: load.send(schedule, ports, servers, config, {}, start_s))
