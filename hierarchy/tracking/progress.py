"""How work says how far it is, without knowing who shows it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from hierarchy.tracking.sinks import Begun, Sink


class Progress(Protocol):
    """Shown by the command line, ignored in tests."""

    def begin(self, phase: str, total: int, unit: str) -> None:
        """A phase of ``total`` units starts; the one before is over."""

    def advance(self, n: int) -> None:
        """``n`` more units are done."""

    def warn(self, line: str) -> None:
        """Something has not gone as it should; the work goes on."""

    def end(self) -> None:
        """The last phase is over."""

    def close(self) -> None:
        """Nothing more will be shown, however it ended."""


class Silent:
    """Shows nothing."""

    def begin(self, phase: str, total: int, unit: str) -> None:
        """Nothing to show."""

    def advance(self, n: int) -> None:
        """Nothing to show."""

    def warn(self, line: str) -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Nothing is held."""


class ShownProgress(Sink):
    """The sink that shows how far the runs are that say how much there is to do."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, run: Begun) -> AbstractContextManager[ShownProgress]:
        """A phase begins, if there is work to be done."""
        if run.work is not None:
            self._progress.begin(*run.work)
        return nullcontext(self)

    def advance(self, n: int) -> None:
        """Units are done of the phase that began last."""
        self._progress.advance(n)
