"""Checkpoints: the last two states of something that moves, of which a damaged newest one costs nothing but itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from envs.core.validation import SettingError
from hierarchy.storage.values import Values

N_KEPT = 2


class Checkpoints:
    """The checkpoints in a folder, numbered from 1.

    Parameters
    ----------
    folder
        Made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._values = Values()

    def _numbers(self) -> list[int]:
        """Those that were written whole, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdigit())

    def save(self, state: object) -> None:
        """Write one more, then remove what came before the last two.

        Raises
        ------
        OSError
            It can't be written; the others are still there.
        """
        before = self._numbers()
        number = before[-1] + 1 if before else 1
        self._values.write(state, self.folder / str(number))
        for old in [*before, number][:-N_KEPT]:
            self._remove(old)

    def latest(self) -> Any:
        """The newest that is as it was written; None if there is none. One that is damaged is warned of, and removed."""
        for number in reversed(self._numbers()):
            try:
                return self._values.read(self.folder / str(number))
            except SettingError as error:
                warnings.warn(f"checkpoint {number} is not used: {error}", stacklevel=2)
                self._remove(number)
        return None

    def _remove(self, number: int) -> None:
        for suffix in (".json", ".safetensors"):  # what says that it is there goes first
            (self.folder / f"{number}{suffix}").unlink(missing_ok=True)
