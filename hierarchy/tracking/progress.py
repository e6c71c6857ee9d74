"""How long work tells how far it is, without knowing who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shown by the command line, ignored in tests."""

    def begin(self, phase: str, total: int, unit: str) -> None:
        """A phase of ``total`` units starts; the one before is over."""

    def advance(self, n: int) -> None:
        """``n`` more units are done."""

    def end(self) -> None:
        """The last phase is over."""


class Silent:
    """Shows nothing."""

    def begin(self, phase: str, total: int, unit: str) -> None:
        """Nothing to show."""

    def advance(self, n: int) -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to show."""
