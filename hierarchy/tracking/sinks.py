"""The seam that figures go through: who trains or compares hands them to one object, and does not know where they end up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple

Level = Literal[
    "experiment",
    "sweep",
    "seed",
    "trial",
    "compiling",
    "tuning",
    "lower",
    "upper",
    "flat",
    "scoring",
    "ablation",
    "arm",
    "seed_arm",
    "live",
    "benchmark",
]
"""What a run is of: an experiment, one training seed of a study, a sweep, one trial of it, a phase, an arm, arms on real
servers, a benchmark.
"""
Whole = Literal["experiment", "sweep", "seed", "trial"]
"""Runs of a whole folder."""


class Work(NamedTuple):
    """How much there is to do in a run, for those who show how far it is."""

    phase: str  # its name for people
    total: int
    unit: str


class Shown(NamedTuple):
    """Parameters and metrics of the runs below that are worth a column beside the objective."""

    parameters: tuple[str, ...]
    metrics: tuple[str, ...]


NOTHING_SHOWN = Shown((), ())


class Begun(NamedTuple):
    """A run that begins: what it is of, its name, settings and marks, and how much there is to do, if it is work."""

    level: Level
    name: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    work: Work | None


class Sink:
    """Takes the figures of one run; runs are nested. It keeps nothing: others derive from it and take what concerns them."""

    def run(
        self,
        level: Level,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> AbstractContextManager[Sink]:
        """A run below this one; how the block ends is how it ends. ``parameters`` are its settings, ``tags`` its marks."""
        return self.begin(Begun(level, name, parameters or {}, tags or {}, work))

    def begin(self, run: Begun) -> AbstractContextManager[Sink]:
        """What takes the figures of a run below this one."""
        return nullcontext(self)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log figures, name -> value, at a step of the run: env steps or meta steps."""

    def advance(self, n: int) -> None:
        """``n`` more units of the run's work are done."""

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """Describe the run for people, and say which figures of the runs below matter most."""


class Several(Sink):
    """Hands everything to several sinks, in their order."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    @contextmanager
    def begin(self, run: Begun) -> Iterator[Several]:
        with ExitStack() as stack:
            yield Several([stack.enter_context(sink.begin(run)) for sink in self._sinks])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for sink in self._sinks:
            sink.metrics(values, step)

    def advance(self, n: int) -> None:
        for sink in self._sinks:
            sink.advance(n)

    def artifact(self, path: Path) -> None:
        for sink in self._sinks:
            sink.artifact(path)

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        for sink in self._sinks:
            sink.describe(markdown, shown)
