"""A recording, replayed in a loop at the mean rate and work that are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.jit import inlined, kernel
from envs.core.rng import integer, uniform
from envs.core.validation import SettingError, setting
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, ArrivalSource, Demand
from envs.load_balancing.traces import Recording, Wanted, by_column, by_pattern, by_work, read_trace, refused

Split = Literal["train", "held_out"]
N_REGIMES = 9
MAX_TRIES = 10_000
"""Places that are looked at for one of the same regime."""
REGIME_WINDOW_S = 20.0
"""Regimes are told from windows that hold as many requests as this many seconds at the scaled mean rate."""


@dataclass(frozen=True)
class Trace(ArrivalConfig):
    """Replay of a recording.

    Every episode of every env starts at a request of the split that is drawn, all being as likely, from the env's stream of
    arrivals, which is keyed by seed, role and env. So evaluation seed i starts at the same request whatever acts and however
    large the batch; other seeds start elsewhere. Episodes of different seeds overlap the more, the shorter the split is; one
    that is longer than the split goes on from its first request.
    """

    source: Literal["trace"] = "trace"
    """name of the arrival source"""
    path: str | None = None
    """the file"""
    split: Split | None = setting(None, one_of=("train", "held_out"))
    """the part in time to replay; None takes train for training and selection, held_out for evaluation"""
    train_share: float = setting(0.7, gt=0, lt=1)
    """share of the time that is for training"""
    interactive_quantile: float = setting(0.7, ge=0, le=1)
    """requests up to this quantile of work are interactive, unless a column or a pattern tells"""
    class_column: str | None = None
    """column of the file that tells the class, by one of the next three"""
    interactive_values: list[str | int] = setting(default_factory=list)
    """its values that are interactive"""
    interactive_up_to: float | None = None
    """its largest number that is interactive"""
    class_pattern: str | None = None
    """regular expression, found in what is interactive: in the column, or without one in the path or query"""

    recorded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.path:
            raise SettingError("path", "the name of a file", self.path)
        for name, what in (("class_column", "the name of a column"), ("class_pattern", "a regular expression")):
            if not isinstance(getattr(self, name), str | None):
                raise SettingError(name, what, getattr(self, name))
        told = {
            "interactive_values": self.interactive_values or None,
            "interactive_up_to": self.interactive_up_to,
            "class_pattern": self.class_pattern,
        }
        given = {name: value for name, value in told.items() if value is not None}
        if self.class_column is None and given.keys() - {"class_pattern"}:
            raise SettingError("class_column", f"the name of a column beside {min(given)}", self.class_column)
        if self.class_column is not None and len(given) != 1:
            beside = ", ".join(f"{name} {value}" for name, value in given.items()) or "none"
            raise SettingError("class_column", f"given with one of {', '.join(told)}", f"{self.class_column} with {beside}")
        if self.class_pattern is not None:
            _check_pattern(self.class_pattern)

    @property
    def wanted(self) -> Wanted:
        """What tells classes, beside work."""
        return Wanted(self.class_column, path=self.class_pattern is not None and self.class_column is None)


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingError("class_pattern", f"a regular expression ({error})", repr(pattern)) from None


class Replay(NamedTuple):
    """The requests of one split of a recording, scaled. K is their number."""

    time_s: FloatArray  # (K,) from 0
    work_s: FloatArray  # (K,)
    flow_class: IntArray  # (K,)
    regime: IntArray  # (K,)
    period_s: float


NO_REPLAY = Replay(np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64), 0.0)


class Place(NamedTuple):
    """Where each env stands in its replay."""

    next: Annotated[IntArray, "n_envs"]  # of the next request
    shift_s: Annotated[FloatArray, "n_envs"]  # clock minus stretched time of the recording


def _split(recording: Recording, interactive: BoolArray, held_out: bool, train_share: float) -> tuple[Recording, BoolArray]:
    """The part of a recording, and of its classes, before or after the instant that ends its training share."""
    border = train_share * recording.time_s[-1]
    part = recording.time_s >= border if held_out else recording.time_s < border
    time_s = recording.time_s[part]
    if len(time_s) < 2 or time_s[-1] <= time_s[0]:
        raise refused("train_share", "such that two requests apart in time are on either side", train_share)
    return Recording(time_s=time_s - time_s[0], work=recording.work[part]), interactive[part]


def _interactive(config: Trace, recording: Recording) -> BoolArray:
    """Which requests are interactive ``(K,)``.

    Raises
    ------
    SettingError
        All are of one class, though a column or a pattern was to tell two apart.
    """
    if config.class_pattern is not None:
        return by_pattern(recording, config.class_pattern)
    if config.class_column is not None:
        return by_column(recording, config.interactive_values, config.interactive_up_to)
    return by_work(recording, config.interactive_quantile)


def _terciles(values: FloatArray) -> IntArray:
    edges = np.quantile(values, [1 / 3, 2 / 3])
    result: IntArray = np.searchsorted(edges, values, side="right").astype(np.int64)
    return result


def _regimes(time_s: FloatArray, flow_class: IntArray, window_s: float) -> IntArray:
    """Tercile of load times tercile of batch share, per window of time; ``(K,)`` in 0..8."""
    window = (time_s / window_s).astype(np.int64)
    n_windows = int(window[-1]) + 1
    count = np.bincount(window, minlength=n_windows).astype(np.float64)
    batch = np.bincount(window, weights=flow_class, minlength=n_windows) / np.maximum(count, 1)
    regime: IntArray = (3 * _terciles(count) + _terciles(batch))[window]
    return regime


def replay(config: Trace, demand: Demand) -> Replay:
    """Scaled times, work, classes and regimes of the requests of a split, and the period of its loop.

    Scaling comes from the whole recording, so that both splits keep their own load. The class of a request is told by a
    column, a pattern or its quantile of work; work is scaled so that interactive requests have the mean work of their class.

    Raises
    ------
    TraceError
        A line of the file can't be read.
    SettingError
        There is no such file, a split of it holds too little, or all requests are of one class.
    """
    whole = read_trace(str(config.path), config.wanted)
    interactive = _interactive(config, whole)
    held_out = config.split == "held_out" if config.split else demand.held_out
    part, its_interactive = _split(whole, interactive, held_out, config.train_share)
    work_scale_s = demand.work_s / whole.work[interactive].mean()
    rate_hz = demand.capacity / work_scale_s if demand.rate_hz is None else demand.rate_hz
    slow_down = whole.rate_hz / rate_hz
    time_s = part.time_s * slow_down
    flow_class = (~its_interactive).astype(np.int64)
    regime = _regimes(time_s, flow_class, REGIME_WINDOW_S)
    return Replay(time_s, part.work * work_scale_s, flow_class, regime, part.duration_s * slow_down)


@inlined
def _start(recording, place, source, stream, env, first, second):
    """A random start within the split, see :class:`Trace`."""
    place.next[env] = integer(stream, recording.time_s.shape[0])
    place.shift_s[env] = -recording.time_s[place.next[env]] * source.stretch[env]


@kernel
def _draw_next(recording, place, source, stream, env, now_s):
    i = place.next[env]
    source.time_s[env] = recording.time_s[i] * source.stretch[env] + place.shift_s[env]
    source.work_s[env] = recording.work_s[i]
    source.flow_class[env] = recording.flow_class[i]
    source.regime[env] = recording.regime[i]
    source.is_request[env] = True
    place.next[env] = i + 1
    if i + 1 == recording.time_s.shape[0]:
        place.next[env] = 0
        place.shift_s[env] += recording.period_s * source.stretch[env]
    return False


@inlined
def _redraw(recording, place, source, stream, env, now_s):
    """Go on at a random request of the regime that the next one has, at a random instant of the gap before it."""
    n, regime, i = recording.time_s.shape[0], source.regime[env], 0
    for _ in range(MAX_TRIES):
        i = integer(stream, n)
        if recording.regime[i] == regime:
            break
    gap_s = recording.time_s[i] - recording.time_s[i - 1] if i > 0 else recording.period_s - recording.time_s[n - 1]
    place.next[env] = i
    place.shift_s[env] = now_s + (uniform(stream) * gap_s - recording.time_s[i]) * source.stretch[env]


def _position(recording: Replay, place: Place) -> FloatArray:
    position: FloatArray = place.next / len(recording.time_s)
    return position


SOURCE = ArrivalSource(
    Trace,
    _draw_next,
    memory=Place,
    start=_start,
    redraw=_redraw,
    params=replay,
    no_params=NO_REPLAY,
    position=_position,
)
