"""An open-loop load generator: every request goes out at its instant, whatever is still unanswered.

Latency counts from the instant that a request was intended for, so that a generator that is late hides nothing.
"""

from __future__ import annotations

import asyncio
import functools
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.validation import SettingError, check, setting
from envs.load_balancing.config import CLASSES
from runs.testbed.http_client import NO_ANSWER, Call, Pool
from runs.testbed.requests import MAX_REQUESTS, MAX_SECONDS, Schedule, check_schedule
from runs.testbed.web_server import WORK_HEADER

NO_SERVER = -1
N_WITHOUT_A_PAUSE = 16
"""Requests that are sent one after another before answers are taken in, when the generator is late."""


@dataclass(frozen=True)
class LoadConfig:
    """Bounds of a load."""

    timeout_s: float = setting(120.0, gt=0, le=MAX_SECONDS)
    """seconds after its instant at which a request without an answer is given up"""
    connections: int = setting(2_000, ge=1, le=50_000)
    """open at once; a request that finds none free counts as unanswered"""
    max_requests: int = setting(MAX_REQUESTS, ge=1, le=MAX_REQUESTS)
    """a schedule with more is refused"""
    max_seconds: float = setting(MAX_SECONDS, gt=0, le=MAX_SECONDS)
    """a schedule that is longer is refused"""

    def __post_init__(self) -> None:
        check(self)


class Lateness(NamedTuple):
    """How much later than intended requests were sent, in s."""

    p50_s: float
    p99_s: float
    max_s: float


class Answers(NamedTuple):
    """What became of the requests of a schedule, in its order; instants are counted from the start of the load."""

    intended_s: FloatArray  # (n,)
    sent_s: FloatArray  # (n,) NaN for one that was never sent
    ended_s: FloatArray  # (n,) of the answer, or when there was none to come any more
    status: IntArray  # (n,) of HTTP; 0 where there is no answer
    server: IntArray  # (n,) who answered; -1 where no server did

    @property
    def is_ok(self) -> BoolArray:
        """Which were served ``(n,)``."""
        ok: BoolArray = self.status == 200
        return ok

    @property
    def latency_s(self) -> FloatArray:
        """From the intended instant to the answer ``(n,)``; NaN where a request was not served."""
        latency_s: FloatArray = np.where(self.is_ok, self.ended_s - self.intended_s, np.nan)
        return latency_s

    @property
    def lateness(self) -> Lateness:
        """Of those that were sent; zeros if none was."""
        late_s = (self.sent_s - self.intended_s)[np.isfinite(self.sent_s)]
        return Lateness(*np.quantile(late_s, [0.5, 0.99, 1.0]).tolist()) if len(late_s) else Lateness(0.0, 0.0, 0.0)


def check_bounds(schedule: Schedule, config: LoadConfig) -> None:
    """Hold a schedule against the bounds of a load.

    Raises
    ------
    SettingError
        It has too many requests, is too long, or is none.
    """
    check_schedule(schedule)
    if schedule.n > config.max_requests:
        raise SettingError("schedule", f"at most {config.max_requests} requests (max_requests)", schedule.n)
    if schedule.last_s > config.max_seconds:
        raise SettingError("schedule.time_s", f"<= {config.max_seconds:g} (max_seconds)", schedule.last_s)


async def send(
    schedule: Schedule,
    ports: Sequence[int],
    servers: Sequence[str],
    config: LoadConfig,
    events: Mapping[float, Sequence[Callable[[], None]]],
    start_s: float | None = None,
) -> Answers:
    """Send all requests of a schedule; returns when the last of them is answered or given up.

    Parameters
    ----------
    ports
        To send to, one per class.
    servers
        Names by which answers tell who gave them.
    events
        What is done besides, by the instant: it must not take long.
    start_s
        Instant of the system's monotonic clock from which instants of the schedule count; now by default.

    Raises
    ------
    SettingError
        See :func:`check_bounds`.
    """
    check_bounds(schedule, config)
    with _without_old_rubbish():
        load = _Load(schedule, ports, servers, config, start_s)
        try:
            await asyncio.gather(load.run(), *(load.do_at(at_s, actions) for at_s, actions in events.items()))
        finally:
            await load.pool.close()
    return load.answers


@contextmanager
def _without_old_rubbish() -> Iterator[None]:
    """No collection goes over what is there already, which would keep requests from going out in time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Load:
    """One run of the generator."""

    def __init__(
        self, schedule: Schedule, ports: Sequence[int], servers: Sequence[str], config: LoadConfig, start_s: float | None
    ) -> None:
        self._loop, self._config = asyncio.get_running_loop(), config
        self._schedule, self._ports = schedule, ports
        self._servers = {name: place for place, name in enumerate(servers)}
        self.pool = Pool(config.connections)
        n = schedule.n
        self.answers = Answers(
            intended_s=np.array(schedule.time_s, np.float64),
            sent_s=np.full(n, np.nan),
            ended_s=np.full(n, np.nan),
            status=np.full(n, NO_ANSWER, np.int64),
            server=np.full(n, NO_SERVER, np.int64),
        )
        self._n_left = n
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._all_over = asyncio.Event()
        self._start_s = self._loop.time() if start_s is None else start_s

    async def run(self) -> None:
        """Send everything, and wait for what is left then."""
        rows = zip(*(values.tolist() for values in self._schedule), strict=True)
        for number, (time_s, flow_class, work_s) in enumerate(rows):
            wait_s = self._start_s + time_s - self._loop.time()
            if wait_s > 0 or number % N_WITHOUT_A_PAUSE == 0:
                await asyncio.sleep(max(wait_s, 0.0))
            self._send(number, time_s, flow_class, work_s)
        if self._n_left:
            await self._all_over.wait()

    async def do_at(self, at_s: float, actions: Sequence[Callable[[], None]]) -> None:
        """Do something at an instant of the load."""
        await asyncio.sleep(max(self._start_s + at_s - self._loop.time(), 0.0))
        for action in actions:
            action()

    def _send(self, number: int, time_s: float, flow_class: int, work_s: float) -> None:
        request = f"GET /{CLASSES[flow_class]} HTTP/1.1\r\nHost: testbed\r\n{WORK_HEADER}: {work_s!r}\r\n\r\n"
        call = Call(request.encode(), functools.partial(self._sent, number), functools.partial(self._over, number))
        until_s = self._start_s + time_s + self._config.timeout_s
        self._timers[number] = self._loop.call_at(until_s, call.give_up)
        self.pool.ask(self._ports[flow_class], call)

    def _sent(self, number: int) -> None:
        self.answers.sent_s[number] = self._loop.time() - self._start_s

    def _over(self, number: int, status: int, server: str) -> None:
        self.answers.ended_s[number] = self._loop.time() - self._start_s
        self.answers.status[number] = status
        self.answers.server[number] = self._servers.get(server, NO_SERVER)
        self._timers.pop(number).cancel()
        self._n_left -= 1
        if not self._n_left:
            self._all_over.set()
