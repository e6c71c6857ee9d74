"""How work says how far it is, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from hierarchy.tracking.sinks import Level, Nothing, Work


class Progress(Protocol):
    """Shown by the command line, ignored in tests."""

    def begin(self, phase: str, total: int, unit: str) -> None:
        """A phase of ``total`` units starts; the one before is over."""

    def advance(self, n: int) -> None:
        """``n`` more units are done."""

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

    def end(self) -> None:
        """Nothing to show."""

    def close(self) -> None:
        """Nothing is held."""


class ShownProgress(Nothing):
    """The sink that shows how far the runs are that say how much there is to do."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def run(
        self,
        level: Level,
        name: str,
        *,
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        work: Work | None = None,
    ) -> Iterator[ShownProgress]:
        """A phase begins, if there is work to be done."""
        if work is not None:
            self._progress.begin(*work)
        yield self

    def advance(self, n: int) -> None:
        """Units are done of the phase that began last."""
        self._progress.advance(n)
