"""The seam that figures go through: who trains or compares hands them to one object, and does not know where they end up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

Level = Literal["experiment", "seed", "lower", "upper", "flat", "compiling", "ablation", "arm", "seed_arm", "benchmark"]
"""What a run is of: an experiment or one training seed of a study, a phase, an arm, a benchmark."""


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


class Sink(Protocol):
    """Takes the figures of one run; runs are nested."""

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

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log figures, name -> value, at a step of the run: env steps or meta steps."""

    def advance(self, n: int) -> None:
        """``n`` more units of the run's work are done."""

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """Describe the run for people, and say which figures of the runs below matter most."""


class Nothing:
    """Keeps nothing. Other sinks derive from it and take what concerns them."""

    @contextmanager
    def run(
        self,
        level: Level,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> Iterator[Sink]:
        """The same sink."""
        yield self

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Nothing is kept."""

    def advance(self, n: int) -> None:
        """Nothing is shown."""

    def artifact(self, path: Path) -> None:
        """Nothing is kept."""

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """Nothing is kept."""


class Several:
    """Hands everything to several sinks, in their order."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    @contextmanager
    def run(
        self,
        level: Level,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> Iterator[Several]:
        """A run in each of them."""
        with ExitStack() as stack:
            runs = [sink.run(level, name, parameters=parameters, tags=tags, work=work) for sink in self._sinks]
            yield Several([stack.enter_context(run) for run in runs])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """To each of them."""
        for sink in self._sinks:
            sink.metrics(values, step)

    def advance(self, n: int) -> None:
        """To each of them."""
        for sink in self._sinks:
            sink.advance(n)

    def artifact(self, path: Path) -> None:
        """To each of them."""
        for sink in self._sinks:
            sink.artifact(path)

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """To each of them."""
        for sink in self._sinks:
            sink.describe(markdown, shown)
