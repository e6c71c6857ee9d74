"""Workers that serve jobs first come, first served, each for its work over the speed, to the instant."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Answer = Callable[[float], None]
"""What is called at the end of service, with the seconds that it took."""


@dataclass(eq=False, slots=True)
class Job:
    """One request; instants are those of the loop's clock."""

    answer: Answer
    arrived_s: float
    left_s: float  # seconds of work
    begun_s: float = 0.0
    since_s: float = 0.0  # when `left_s` was left
    end_s: float = 0.0
    timer: asyncio.TimerHandle | None = None


class Station:
    """A server without a network.

    Service begins when the job has come and the worker is free, not when a late timer says so, and ends where it must: what
    a timer is late by adds to one answer and does not accumulate.

    Parameters
    ----------
    cores
        Workers.
    speed
        Seconds of work that one does in a second; 0 serves nobody.
    max_flows
        Jobs that there may be, those in service included.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, cores: int, speed: float, max_flows: int) -> None:
        self._loop, self._cores, self._nominal, self._max_flows = loop, cores, speed, max_flows
        self._speed = speed
        self._running: set[Job] = set()
        self._waiting: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    def enter(self, work_s: float, answer: Answer) -> bool:
        """Take in a job; false where there is no room for it."""
        if len(self) >= self._max_flows:
            return False
        job = Job(answer, self._loop.time(), work_s)
        if len(self._running) < self._cores:
            self._begin(job, job.arrived_s)
        else:
            self._waiting.append(job)
        return True

    def slow_down(self, factor: float) -> None:
        """Go on at the nominal speed times a factor; what is in service is worked on at the new speed from now on."""
        now_s, before = self._loop.time(), self._speed
        self._speed = self._nominal * factor
        for job in self._running:
            if job.timer is not None and job.end_s <= now_s:
                continue
            job.left_s -= (now_s - job.since_s) * before
            job.since_s = now_s
            self._arm(job)

    def clear(self) -> int:
        """Drop all jobs; returns how many there were."""
        n = len(self)
        for job in self._running:
            if job.timer is not None:
                job.timer.cancel()
        self._running.clear()
        self._waiting.clear()
        return n

    def _begin(self, job: Job, at_s: float) -> None:
        job.begun_s = job.since_s = at_s
        self._running.add(job)
        self._arm(job)

    def _arm(self, job: Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None
        if self._speed > 0.0:
            job.end_s = job.since_s + max(job.left_s, 0.0) / self._speed
            job.timer = self._loop.call_at(job.end_s, self._end, job)

    def _end(self, job: Job) -> None:
        self._running.remove(job)
        if self._waiting:
            following = self._waiting.popleft()
            self._begin(following, max(following.arrived_s, job.end_s))
        job.answer(job.end_s - job.begun_s)
