"""What tests of whole experiments share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hierarchy.tracking.progress import Silent


def names(folder: Path) -> set[str]:
    """Of the files in a folder."""
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


class Recorded(Silent):
    """Keeps what was told; may raise in the middle."""

    def __init__(self, raise_in: str = "", error: type[BaseException] = KeyboardInterrupt) -> None:
        self.phases: list[list[Any]] = []
        self.ended = 0
        self._raise_in, self._error = raise_in, error

    def begin(self, phase: str, total: int, unit: str) -> None:
        self.phases.append([phase, total, unit, 0])

    def advance(self, n: int) -> None:
        self.phases[-1][3] += n
        if self._raise_in and self._raise_in in self.phases[-1][0]:
            raise self._error

    def end(self) -> None:
        self.ended += 1
