"""What is told of a step: the decision, and what stood around it when it was made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, IntArray
from envs.core.objectives import evaluate, name_of, unit_of
from envs.haproxy.balancer import Balancer
from envs.haproxy.canary import Difference
from envs.load_balancing.config import CLASSES
from envs.load_balancing.measurements import Measurements
from hierarchy.live.controller import Decision
from hierarchy.pair import Pair

if TYPE_CHECKING:
    from hierarchy.online.setter import Online, Progress


class Subject(NamedTuple):
    """What is watched, as it stays from the beginning to the end."""

    pair: str  # where it was loaded from
    applies: bool  # whether weights are written
    dt_s: float  # of a step
    backends: tuple[str, ...]  # (C,)
    servers: tuple[str, ...]  # (S,)
    classes: tuple[str, ...]
    objective: str
    unit: str  # of the objective


class WindowFigures(NamedTuple):
    """The last window that has ended."""

    number: int
    objective: float
    statistics: dict[str, float]


class Report(NamedTuple):
    """A step, as of its end; nothing in it changes any more."""

    decision: Decision
    at_s: float  # seconds since 1970
    ended_s: float  # on the clock of :attr:`Reporter.now`
    context: dict[str, float]  # weight of every term in force
    measured: str | None  # digest of what was decided by, see :func:`digest`; None where nothing was
    window: WindowFigures | None
    n_flows: IntArray  # (C, S) in flight
    up: BoolArray  # (S,)
    untouchable: BoolArray  # (S,) an administrator has taken it out
    failures: dict[str, int]  # of observers, by name
    in_force: IntArray  # (C, S) weights that HAProxy has
    canary: dict[str, Difference] | None  # what steering has changed for a request up to the last window, if it is told
    progress: Progress | None = None  # of an upper agent that goes on learning

    @property
    def at(self) -> str:
        """When it ended, as ISO 8601 has it."""
        return iso(self.at_s)

    @property
    def learning(self) -> dict[str, Any] | None:
        """Progress by name; None where nothing goes on learning."""
        progress = self.progress
        return None if progress is None else {**progress._asdict(), "standing": progress.standing._asdict()}


def iso(at_s: float) -> str:
    """Seconds since 1970 in UTC, as ISO 8601 has it."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def digest(measurements: Measurements) -> str:
    """SHA-256 of all that was measured: name, type, shape and bytes of every array, in the order of the fields."""
    total = hashlib.sha256()
    for name, array in _arrays("", measurements):
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _arrays(path: str, value: Any) -> Iterator[tuple[str, Array]]:
    if isinstance(value, tuple):
        for name, part in zip(value._fields, value, strict=True):  # type: ignore[attr-defined]
            yield from _arrays(f"{path}.{name}", part)
    else:
        yield path, np.asarray(value)


class Reporter:
    """Stands between the controller and a pair, and so knows what was measured.

    Parameters
    ----------
    balancer, pair
        What is steered, and what steers it.
    period
        Steps in a window.
    now, clock
        Seconds on a clock that never goes back, and since 1970.
    online
        Sets the pair's contexts, where that goes on learning.
    """

    def __init__(
        self,
        balancer: Balancer,
        pair: Pair,
        period: int,
        now: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        online: Online | None = None,
    ) -> None:
        self._online = online
        self._balancer, self._pair, self._period, self.now, self._clock = balancer, pair, period, now, clock
        self._world = balancer.world
        self._measurements: Measurements | None = None
        self._n_measured, self._totals = 0, None
        self._window: WindowFigures | None = None
        self._differences: dict[str, Difference] | None = None
        self._was_held = False

    def subject(self, pair: str, applies: bool) -> Subject:
        """What is watched: a pair that was loaded from there."""
        config, settings, objective = self._balancer.config, self._balancer.settings, self._world.objective
        names = tuple(settings.backends), tuple(settings.servers), CLASSES
        return Subject(pair, applies, config.dt_s, *names, name_of(objective), unit_of(objective))

    def decide(self, measurements: Measurements) -> Array:
        """What the pair decides."""
        self._measurements = measurements
        return self._pair.decide(measurements)

    def report(self, decision: Decision, failures: dict[str, int]) -> Report:
        """What there is to tell of the step that has just ended."""
        measurements, self._measurements = self._measurements, None
        self._was_held |= bool(decision.held_because)
        if measurements is not None:
            self._measure(measurements)
        seen = self._balancer.seen
        assert seen is not None
        return Report(
            decision,
            self._clock(),
            self.now(),
            dict(zip(self._world.term_names, self._pair.context[0].tolist(), strict=True)),
            None if measurements is None else digest(measurements),
            self._window,
            seen.look.n_flows,
            ~seen.look.down,
            seen.untouchable,
            failures,
            seen.weights,
            self._differences,
            None if self._online is None else self._online.progress,
        )

    def _measure(self, measurements: Measurements) -> None:
        """End a window where the pair does, too."""
        if self._n_measured % self._period == 0:
            statistics = self._world.statistics
            if self._totals is not None:
                since = statistics.since(measurements, self._totals)
                objective = float(evaluate(self._world.objective, since)[0])
                figures = {name: float(values[0]) for name, values in since.items()}
                self._window = WindowFigures(self._n_measured // self._period, objective, figures)
                if self._balancer.canary is not None:
                    self._balancer.canary.end_window(not self._was_held)
                    self._was_held = False
                    self._differences = self._balancer.canary.differences()
            self._totals = statistics.totals(measurements)
        self._n_measured += 1

    @property
    def look_age_s(self) -> float:
        """Since HAProxy last answered a look."""
        return self._balancer.look_age_s

    @property
    def log_age_s(self) -> float | None:
        """Since a line of the log was last taken in; None before the first."""
        heard_s = self._balancer.listener.heard_s
        return None if heard_s is None else self.now() - heard_s

    @property
    def log_lines(self) -> dict[str, int]:
        """What became of lines of the log, by name."""
        return self._balancer.listener.counts._asdict()

    @property
    def n_restarts(self) -> int:
        """How often HAProxy was started again."""
        return self._balancer.n_restarts
