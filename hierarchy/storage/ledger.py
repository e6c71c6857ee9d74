"""What has been done of a piece of work, in a folder: who does it again takes from there what is done already."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from envs.core.validation import SettingError
from hierarchy.storage.checkpoints import Checkpoints
from hierarchy.storage.values import Values


@dataclass(frozen=True)
class Ledger:
    """Results by name. Without a folder nothing is kept; it goes to other processes as it is.

    Attributes
    ----------
    folder
        Made with the first result.
    types
        Of records that results may hold.
    """

    folder: Path | None = None
    types: tuple[Callable[..., Any], ...] = ()

    def below(self, name: str) -> Ledger:
        """That of a part of the work."""
        return self if self.folder is None else Ledger(self.folder / name, self.types)

    def get(self, name: str) -> Any:
        """What was kept under a name; None if nothing was, or if it is damaged: then it has to be done again."""
        if self.folder is None or not (self.folder / f"{name}.json").is_file():
            return None
        try:
            return Values(self.types).read(self.folder / name)
        except SettingError:
            return None

    def put(self, name: str, value: object) -> None:
        """Keep a value under a name, on the disk when this returns."""
        if self.folder is not None:
            Values(self.types).write(value, self.folder / name)

    @contextmanager
    def drafts(self) -> Iterator[Path]:
        """A folder for files that are not decided on yet: beside the results, or one that goes with the block."""
        if self.folder is None:
            with TemporaryDirectory() as passing:
                yield Path(passing)
            return
        drafts = self.folder / "drafts"
        drafts.mkdir(parents=True, exist_ok=True)
        yield drafts

    @property
    def checkpoints(self) -> Checkpoints | None:
        """States of what is in training here; None where nothing is kept."""
        return None if self.folder is None else Checkpoints(self.folder / "checkpoints")

    def clear(self) -> None:
        """Forget everything."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
