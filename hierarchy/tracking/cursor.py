"""How far a store has the journal of a folder."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envs.core.validation import SettingError
from hierarchy.storage.files import read_json, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.history import Placed, read
from hierarchy.tracking.records import Session


@dataclass(frozen=True)
class Cursor:
    """A place in a journal.

    Attributes
    ----------
    delivered
        Bytes that the store has.
    session
        Where the session begins that is being delivered.
    runs
        Ids in the store of the runs that are open there, by their keys.
    n_refused, first_refused
        Records of the session that the store will never take, and the place after the first of them.
    """

    delivered: int = 0
    session: int = 0
    runs: Mapping[str, str] = field(default_factory=dict)
    n_refused: int = 0
    first_refused: int = 0

    @classmethod
    def load(cls, folder: Path) -> Cursor:
        """The one that a folder holds. Without one, or with one that is not of its journal, all is delivered anew: what the
        store has already does not change by that.
        """
        there = OutputFolder(folder)
        if not there.delivered.is_file():
            return cls()
        try:
            cursor = _checked(read_json(there.delivered))
        except SettingError:
            return cls()
        return cursor if _is_of(cursor, there.journal) else cls()

    def save(self, folder: Path) -> None:
        """Write it, once what it speaks of is on the disk."""
        there = OutputFolder(folder)
        with there.journal.open("rb") as file:
            os.fsync(file.fileno())
        write_json(dataclasses.asdict(self), there.delivered)

    @property
    def rewound(self) -> Cursor:
        """Where the session begins."""
        return Cursor(self.session, self.session)

    def after(self, last: Placed, runs: Mapping[str, str], is_taken: bool) -> Cursor:
        """The place after a record that a store has taken, or refused for good; its open runs have these ids."""
        before = Cursor(self.delivered, self.delivered) if isinstance(last.record, Session) else self
        return Cursor(
            last.end,
            before.session,
            dict(runs),
            before.n_refused + (not is_taken),
            before.first_refused or (0 if is_taken else last.end),
        )


def _checked(values: Any) -> Cursor:
    names = [one.name for one in dataclasses.fields(Cursor)]
    if not isinstance(values, dict) or set(values) != set(names):
        raise SettingError("delivered", f"an object of {', '.join(names)}", values)
    runs, numbers = values["runs"], [values[name] for name in names if name != "runs"]
    if not all(type(number) is int and number >= 0 for number in numbers) or not _are_ids(runs):
        raise SettingError("delivered", "places in a journal, and ids of runs", values)
    return Cursor(**values)


def _are_ids(runs: Any) -> bool:
    is_id = re.compile("[0-9a-f]{32}").fullmatch
    return isinstance(runs, dict) and all(isinstance(one, str) and is_id(one) for one in runs.values())


def _is_of(cursor: Cursor, journal: Path) -> bool:
    """Whether a session begins and a record ends in a journal where a cursor says."""
    size = journal.stat().st_size if journal.is_file() else 0
    if not cursor.session <= cursor.delivered <= size:
        return False
    with journal.open("rb") as file:
        file.seek(max(cursor.delivered - 1, 0))
        ends = cursor.delivered == 0 or file.read(1) == b"\n"
    try:
        first = read(journal, cursor.session, 1)
    except SettingError:
        return False
    return ends and bool(first) and isinstance(first[0].record, Session)
