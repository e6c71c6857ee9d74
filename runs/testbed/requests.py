"""The requests of an episode as the simulator draws them, to be sent to real servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, IntArray, StreamArray
from envs.core.rng import Role, streams
from envs.core.validation import SettingError, check, setting
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.arrivals import traffic
from envs.load_balancing.kernel.arrivals.requests import draw_requests
from envs.load_balancing.kernel.state import State
from envs.load_balancing.params import new_state, traffic_of
from envs.load_balancing.randomisation import draw, ranges

MAX_REQUESTS = 1_000_000
MAX_SECONDS = 3_600.0
N_AT_ONCE = 65_536


class Schedule(NamedTuple):
    """Requests by the instant that they are to be sent at, counted from the start."""

    time_s: FloatArray  # (n,) ascending
    flow_class: IntArray  # (n,) place in `CLASSES`
    work_s: FloatArray  # (n,) seconds on a core of speed 1

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.time_s)

    @property
    def last_s(self) -> float:
        """Instant of the last one; 0 where there is none."""
        return float(self.time_s[-1]) if self.n else 0.0

    def first(self, n: int) -> Schedule:
        """The first ``n`` of them."""
        return Schedule(self.time_s[:n], self.flow_class[:n], self.work_s[:n])


@dataclass(frozen=True)
class ScheduleConfig:
    """Which requests: those of the first episode of an env of the simulator."""

    seconds: float = setting(60.0, gt=0, le=MAX_SECONDS)
    """length of it; unlike an episode it may be longer than `episode_steps`"""
    seed: int = setting(0, ge=0)
    """master seed"""
    role: Role = "evaluate"
    """what the episode is for; on a trace evaluate replays the held-out part"""
    env_id: int = setting(0, ge=0)
    """which env of a batch; in an evaluation every episode has one of its own"""

    def __post_init__(self) -> None:
        check(self)


def draw_schedule(config: LoadBalancingConfig, wanted: ScheduleConfig) -> Schedule:
    """The requests that come for the first time in an episode of the simulator; a recording is replayed likewise.

    Retries are left out: a request that is rejected does not come back.

    Raises
    ------
    SettingError
        More than `MAX_REQUESTS` would come.
    SettingError, TraceError
        A recording can't be read.
    """
    begun = _begun(config, wanted)
    parts: list[Schedule] = []
    n = 0
    while True:
        part = Schedule(np.empty(N_AT_ONCE), np.empty(N_AT_ONCE, np.int64), np.empty(N_AT_ONCE))
        n_more = draw_requests(begun.traffic, begun.state.source, begun.streams, 0, float(wanted.seconds), *part)
        parts.append(part.first(n_more))
        n += n_more
        if n > MAX_REQUESTS:
            raise SettingError("seconds", f"such that at most {MAX_REQUESTS:,} requests come", wanted.seconds)
        if n_more < N_AT_ONCE:
            break
    time_s, flow_class, work_s = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Schedule(time_s, flow_class, work_s)


def time_of_day(config: LoadBalancingConfig, wanted: ScheduleConfig) -> float:
    """Of the first instant, in [0, 1); 0 where there are no days."""
    begun = _begun(config, wanted)
    return float(traffic.time_of_day(begun.traffic, begun.state.source, 0, 0.0))


class _Begun(NamedTuple):
    """An episode before its first request."""

    traffic: traffic.Traffic
    state: State
    streams: StreamArray


def _begun(config: LoadBalancingConfig, wanted: ScheduleConfig) -> _Begun:
    all_streams = streams(wanted.seed, wanted.role, [wanted.env_id])
    begun = _Begun(traffic_of(config, held_out=wanted.role == "evaluate"), new_state(config, all_streams), all_streams)
    draw(config, ranges(config), begun.state, np.ones(1, np.bool_))
    traffic.start_source(begun.traffic, begun.state.source, all_streams, 0)
    return begun


def check_schedule(schedule: Schedule) -> None:
    """Hold requests that somebody made against what can be sent.

    Raises
    ------
    SettingError
        Arrays of different lengths, instants that are not ascending from 0, a class that is none, work below 0.
    """
    lengths = [len(values) for values in schedule]
    if len(set(lengths)) != 1:
        raise SettingError("schedule", "arrays of one length", lengths)
    _hold("time_s", "finite and ascending from 0", schedule.time_s, np.diff(schedule.time_s, prepend=0.0) >= 0)
    _hold(
        "flow_class", f"from 0 to {len(CLASSES) - 1}", schedule.flow_class, np.isin(schedule.flow_class, range(len(CLASSES)))
    )
    _hold("work_s", "finite and >= 0", schedule.work_s, schedule.work_s >= 0)


def _hold(name: str, allowed: str, values: Array, holds: BoolArray) -> None:
    wrong = np.flatnonzero(~(holds & np.isfinite(values)))
    if len(wrong):
        raise SettingError(f"schedule.{name}[{wrong[0]}]", allowed, values[wrong[0]])
