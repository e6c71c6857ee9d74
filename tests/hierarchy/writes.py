"""A kill before one of the files that are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hierarchy.storage import files


class Writes:
    """Counts files as they are written, and interrupts before one of them, as a kill does."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.n, self.cut_at = 0, -1
        write = files.write

        def counted(path: Path, fill: Callable[..., object]) -> None:
            self.n += 1
            if self.n == self.cut_at:
                raise KeyboardInterrupt
            write(path, fill)

        for module in ("hierarchy.storage.files", "hierarchy.storage.values", "hierarchy.sweeping.running"):
            patch.setattr(f"{module}.write", counted)

    def cut(self, at: int) -> None:
        self.n, self.cut_at = 0, at
