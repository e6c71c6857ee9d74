"""What a journal tells when it is read from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, get_args

from envs.core.validation import SettingError
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.records import Again, Begin, End, Metrics, OfRun, Record, Session, record_of
from hierarchy.tracking.sinks import Whole

Place = tuple[str, str, str | None]
"""Level, name and parent of a run."""


class Placed(NamedTuple):
    """A record, and the offset of the line after it."""

    record: Record
    end: int


def lines(journal: Path, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Whole lines from an offset on, each with the offset of the next; what a kill cut short is none."""
    with journal.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            start += len(line)
            yield line, start


def read(journal: Path, start: int, n_most: int) -> list[Placed]:
    """Records from an offset on.

    Raises
    ------
    SettingError
        A line is no record.
    """
    return [Placed(record_of(line, f"{journal} at byte {end}"), end) for line, end in islice(lines(journal, start), n_most)]


def n_lines(journal: Path, start: int = 0) -> int:
    """How many whole lines there are from an offset on."""
    return sum(1 for _ in lines(journal, start))


def last_run(folder: Path) -> str | None:
    """Key of the run of the experiment that a folder's journal ends with; None without one.

    Raises
    ------
    SettingError
        The journal is damaged.
    """
    journal = OutputFolder(folder).journal
    return History.of(journal).last_run if journal.is_file() else None


class History:
    """The session that a journal is in.

    Attributes
    ----------
    size
        Bytes of whole lines.
    session
        The session, None before the first.
    begun
        Keys of its runs by level, name and parent, in the order in which they were begun.
    running
        Keys of those that have not ended.
    steps
        The last step of each series, by run and metric.
    time_ms
        Of the last record that has one.
    """

    def __init__(self) -> None:
        self.size = self.time_ms = 0
        self.session: Session | None = None
        self.begun: dict[Place, list[str]] = {}
        self.running: dict[str, bool] = {}
        self.steps: dict[tuple[str, str], int] = {}

    @classmethod
    def of(cls, journal: Path) -> History:
        """Of all whole lines of a file.

        Raises
        ------
        SettingError
            A line is no record, or is of no run of its session.
        """
        history = cls()
        for number, (line, end) in enumerate(lines(journal), 1):
            where = f"{journal} line {number}"
            history.record(record_of(line, where), where)
            history.size = end
        return history

    @property
    def last_run(self) -> str | None:
        """Key of the run of the experiment; None without one."""
        return next((keys[-1] for (level, _, _), keys in self.begun.items() if level in get_args(Whole)), None)

    def record(self, record: Record, where: str = "") -> None:
        """Take in the next record, which stands at ``where``.

        Raises
        ------
        SettingError
            It is of no run of the session.
        """
        if isinstance(record, Session):
            self.session, self.begun, self.running, self.steps = record, {}, {}, {}
        elif self.session is None:
            raise SettingError(where, "the beginning of a session", type(record).__name__)
        elif isinstance(record, Begin):
            if record.run in self.running:
                raise SettingError(where, "a run that was not begun before", record.run)
            self.begun.setdefault((record.level, record.name, record.parent), []).append(record.run)
            self.running[record.run] = True
        else:
            self._record_of_run(record, where)
        self.time_ms = getattr(record, "time_ms", self.time_ms)

    def _record_of_run(self, record: OfRun, where: str) -> None:
        if record.run not in self.running:
            raise SettingError(where, "of a run that was begun before", record.run)
        if isinstance(record, Metrics):
            for name in record.values:
                series = record.run, name
                self.steps[series] = max(record.step, self.steps.get(series, record.step))
        elif isinstance(record, (Again, End)):
            self.running[record.run] = isinstance(record, Again)
