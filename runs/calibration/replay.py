"""Servers that serve first come, first served, replayed: when a worker was free for each request.

A server with c workers begins a request when it has come and one of them is free, so its start follows from when it came and
the ends of those before. What is behind a worker that a request without an answer held is left out: nobody knows when it
let go of it.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, IntArray
from envs.haproxy.recording import Requests
from envs.load_balancing.kernel.metering import ANSWERED

RESOLUTION_S = 1e-3
"""Of instants at which requests came: which of two came first is not known below it, and those that end first are taken
first."""
LEFT_OUT = 0.999
"""Quantile of the time on a server: of what came so late before the end of the log some may not have ended in it."""


class Served(NamedTuple):
    """Answered requests whose service is known, in order of arrival."""

    came_s: FloatArray  # (n,)
    ended_s: FloatArray  # (n,)
    free_s: FloatArray  # (n,) when a worker was; -inf where one was all along
    flow_class: IntArray  # (n,)
    server: IntArray  # (n,)

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.came_s)

    @property
    def waited(self) -> BoolArray:
        """Which had to wait in the server ``(n,)``."""
        waited: BoolArray = self.free_s > self.came_s
        return waited

    def service_s(self, overhead_s: float) -> FloatArray:
        """Time in service ``(n,)``, when so much of the time of a request is not spent on the server."""
        service_s: FloatArray = self.ended_s - np.maximum(self.came_s + overhead_s, self.free_s)
        return service_s

    def of(self, which: BoolArray | IntArray) -> Served:
        """Some of them."""
        return Served._make(values[which] for values in self)


class Span(NamedTuple):
    """Seconds of a log in which all that came is known."""

    from_s: float
    to_s: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.to_s - self.from_s

    def holds(self, when_s: FloatArray) -> BoolArray:
        """Which instants are in it ``(n,)``."""
        within: BoolArray = (when_s >= self.from_s) & (when_s <= self.to_s)
        return within


def span_of(requests: Requests) -> Span:
    """From the first end on, for what ended before is not in the log, up to where requests may not have ended in it."""
    took_s = requests.ended_s - requests.came_s
    to_s = float(requests.ended_s.max() - np.quantile(took_s, LEFT_OUT))
    return Span(float(requests.ended_s.min()), max(to_s, float(requests.ended_s.min())))


def replay(requests: Requests, cores: Array, span: Span) -> Served:
    """What was served by servers of so many workers ``(S,)``, in a span of the log."""
    parts = [of_server(requests, server, int(n), span) for server, n in enumerate(cores)]
    together = Served._make(np.concatenate(values) for values in zip(*parts, strict=True))
    return together.of(np.argsort(together.came_s, kind="stable"))


def of_server(requests: Requests, server: int, cores: int, span: Span) -> Served:
    """What one server served."""
    mine = np.flatnonzero(requests.server == server)
    came_s, ended_s = requests.came_s[mine], requests.ended_s[mine]
    order = _order(came_s, ended_s)
    came_s, ended_s, mine = came_s[order], ended_s[order], mine[order]
    answered = requests.outcome[mine] == ANSWERED
    free_s, known = _free(came_s, ended_s, answered, cores)
    kept = known & answered & span.holds(came_s)
    return Served(came_s, ended_s, free_s, requests.flow_class[mine], requests.server[mine]).of(kept)


def _order(came_s: FloatArray, ended_s: FloatArray) -> IntArray:
    group = np.cumsum(np.diff(came_s, prepend=-np.inf) > RESOLUTION_S)
    order: IntArray = np.lexsort((ended_s, group))
    return order


def _free(came_s: FloatArray, ended_s: FloatArray, answered: BoolArray, cores: int) -> tuple[FloatArray, BoolArray]:
    """When a worker was free for each ``(n,)``, and whether that is known."""
    free_s, known = np.full(len(came_s), -np.inf), np.ones(len(came_s), np.bool_)
    busy: list[tuple[float, bool]] = []  # ends of those that hold workers, and whether they were answered
    for k, (came, end, ok) in enumerate(zip(came_s.tolist(), ended_s.tolist(), answered.tolist(), strict=True)):
        begins = came
        if len(busy) == cores:
            free_s[k], of_answered = busy[0]
            begins = max(came, busy[0][0])
            known[k] = of_answered or busy[0][0] <= came - RESOLUTION_S
        if not ok and end <= begins:
            continue  # it was refused, or given up, before a worker took it
        entry = (end, ok)
        if len(busy) == cores:
            heapq.heapreplace(busy, entry)
        else:
            heapq.heappush(busy, entry)
    return free_s, known
