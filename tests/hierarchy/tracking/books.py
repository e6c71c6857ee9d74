"""A store that keeps books and fails as planned, and an experiment whose journal it gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hierarchy.tracking.history import read
from hierarchy.tracking.journal import Journal
from hierarchy.tracking.records import Again, Artifact, Begin, End, Metrics, Record, Session
from hierarchy.tracking.shipper import LostRunError, RefusedError


class AwayError(Exception):
    """The store does not answer."""


class KilledError(BaseException):
    """The process is no more."""


class Books:
    """What a store holds: runs by key, points as a table with a key of their own, so that the same point is one row."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.points: list[tuple[str, str, int, float, int]] = []
        self.status: dict[str, str] = {}
        self.files: dict[tuple[str, str], str] = {}


class Store:
    """A destination that keeps books and fails as planned: before a request takes effect, after it, or with the process."""

    def __init__(self, folder: Path, books: Books, plan: Iterator[str]) -> None:
        self.folder, self.books, self.plan = folder, books, plan
        self.runs: dict[str, str] = {}
        self.requests: list[list[Record]] = []
        self.n_checks = 0

    def check(self) -> None:
        self.n_checks += 1

    def open(self) -> None:
        """Nothing is to be made ready."""

    def begin(self, session: Session, runs: Mapping[str, str]) -> None:
        for key, run_id in runs.items():
            if self.books.made.get(key) != run_id:
                raise LostRunError
        self.runs = dict(runs)

    def deliver(self, records: Sequence[Record]) -> None:
        self.requests.append(list(records))
        planned = next(self.plan, "")
        if planned == "refuse" and not isinstance(records[0], (Session, Begin)):
            raise RefusedError
        if planned == "before":
            raise AwayError
        for record in records:
            self.take(record)
        if planned == "after":
            raise AwayError
        if planned == "kill":
            raise KilledError

    def take(self, record: Record) -> None:
        if isinstance(record, Session):
            self.begin(record, {})
            return
        if isinstance(record, Begin):
            self.runs[record.run] = self.books.made.setdefault(record.run, f"{len(self.books.made):032x}")
            self.books.status[record.run] = "RUNNING"
            return
        if record.run not in self.books.made:
            raise LostRunError
        if isinstance(record, Again):
            self.runs[record.run], self.books.status[record.run] = self.books.made[record.run], "RUNNING"
        elif isinstance(record, Metrics):
            rows = [(record.run, name, record.step, value, record.time_ms) for name, value in record.values.items()]
            self.books.points += [row for row in rows if row not in self.books.points]
        elif isinstance(record, Artifact):
            copy = self.folder / record.copy
            if not copy.is_file():
                raise RefusedError
            self.books.files[record.run, record.path] = copy.read_text()
        elif isinstance(record, End):
            self.books.status[record.run] = record.status
            self.runs.pop(record.run, None)


def store_of(folder: Path, *plan: str) -> Store:
    """An empty store with a plan."""
    return Store(folder, Books(), iter(plan))


def fill(folder: Path, n_steps: int = 12, *, ends: bool = True) -> None:
    """An experiment with a phase, a file and, if it ends, ends of both runs."""
    journal = Journal.open(folder, "metabalance")
    top = journal.begin("experiment", "one", None, {}, {})
    lower = journal.begin("lower", "lower", top, {}, {})
    for step in range(n_steps):
        journal.metrics(lower, {"a": step / 7, "b": -step / 7}, step)
    path = folder / "file.txt"
    path.write_text("kept")
    journal.artifact(top, path)
    path.write_text("changed")
    if ends:
        journal.end(lower, "FINISHED")
        journal.end(top, "FINISHED")
    journal.close()


def journaled(folder: Path) -> tuple[list[tuple[str, str, int, float, int]], set[str]]:
    """All points of a journal and the keys of its runs."""
    found = [placed.record for placed in read(folder / "journal.jsonl", 0, 1_000_000)]
    points = [
        (one.run, name, one.step, value, one.time_ms)
        for one in found
        if isinstance(one, Metrics)
        for name, value in one.values.items()
    ]
    return points, {one.run for one in found if isinstance(one, Begin)}


def assert_all_there_once(books: Books, folder: Path) -> None:
    points, keys = journaled(folder)
    assert sorted(books.points) == sorted(points)
    assert set(books.made) == keys
    assert set(books.status.values()) == {"FINISHED"}
    assert list(books.files.values()) == ["kept"]
