"""The sink of the output folder: the curves that pictures of learning are drawn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hierarchy.evidence.recordings import Curves
from hierarchy.tracking.sinks import Begun, Level, Sink

PHASES: tuple[Level, ...] = ("lower", "upper", "flat")
"""Runs that have a curve."""


class FolderCurves(Sink):
    """Metrics of the phases of training, in `curves.json` of a folder once a phase is over; one cut short leaves none."""

    def __init__(self, folder: Path, phase: Level | None = None) -> None:
        self._folder, self._phase = folder, phase
        self._curves = Curves()

    @contextmanager
    def begin(self, run: Begun) -> Iterator[FolderCurves]:
        """A phase, or something that has no curve."""
        sink = FolderCurves(self._folder, run.level if run.level in PHASES else None)
        yield sink
        sink._curves.save(self._folder)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """One more point of the phase's curves."""
        if self._phase is not None:
            self._curves.record(self._phase, values, step)
