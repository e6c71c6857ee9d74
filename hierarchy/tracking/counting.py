"""How far jobs are that nobody sees: each counts in its folder, for whoever waits, in whatever process or machine."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.storage.files import read_mapping
from hierarchy.tracking.progress import Silent
from hierarchy.tracking.sinks import Sink

NAME = "steps.json"
EVERY_S = 1.0


def counted(folder: Path) -> int:
    """Steps that a job has counted in a folder; none where it has not begun or is over."""
    return sum(_of_phases(folder / NAME).values())


def _of_phases(path: Path) -> dict[str, int]:
    try:
        return {phase: n for phase, n in read_mapping(path).items() if isinstance(n, int)}
    except SettingError:
        return {}


class Counted(Silent):
    """Counts the steps of each phase; those that were over when the job was cut short stay counted.

    Parameters
    ----------
    folder
        That the job keeps what is done in: the count goes with it.
    per_unit
        Steps that a unit of work stands for, by its name; others are not counted.
    """

    def __init__(self, folder: Path, per_unit: Mapping[str, int]) -> None:
        self._path, self._per_unit = folder / NAME, per_unit
        self._done: dict[str, int] = {}
        self._phase, self._each, self._written_s = "", 0, 0.0

    def begin(self, phase: str, total: int, unit: str) -> None:
        """A phase begins, or goes on and counts anew what it had done."""
        if not self._phase:
            self._done = _of_phases(self._path)
        self._phase, self._each = phase, self._per_unit.get(unit, 0)
        self._done[phase] = 0

    def advance(self, n: int) -> None:
        """Units are done; the file says so within a second of work."""
        self._done[self._phase] = self._done.get(self._phase, 0) + n * self._each
        if time.monotonic() - self._written_s >= EVERY_S:
            self._write()

    def _write(self) -> None:
        """Without waiting for the disk: it is no loss if it is lost."""
        partial = self._path.with_name(f".{NAME}")
        with contextlib.suppress(OSError):
            partial.write_text(json.dumps(self._done), encoding="utf-8")
            os.replace(partial, self._path)
        self._written_s = time.monotonic()


class Together:
    """Shows how far several jobs are together, by what each counts in its folder.

    Parameters
    ----------
    folders, n_steps
        Where they count, and how many steps each takes at most.
    sink
        Takes in steps.
    """

    def __init__(self, folders: Sequence[Path], n_steps: int, sink: Sink) -> None:
        self._folders, self._n_steps, self._sink = folders, n_steps, sink
        self._done = [0] * len(folders)

    def look(self) -> None:
        """Read all counts; one that has lost some, with its worker, stays where it was."""
        for number, folder in enumerate(self._folders):
            self._rise(number, counted(folder))

    def finish(self, number: int) -> None:
        """One is over: that is all of its steps, whatever it had found done."""
        self._rise(number, self._n_steps)

    def _rise(self, number: int, n_steps: int) -> None:
        new = min(n_steps, self._n_steps) - self._done[number]
        if new > 0:
            self._done[number] += new
            self._sink.advance(new)
