"""Takes the records of a journal to a store, in a thread of its own: nobody waits for it, and nothing fails with it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.answering import kind_of
from hierarchy.tracking.cursor import Cursor
from hierarchy.tracking.history import Placed, n_lines, read
from hierarchy.tracking.records import Copied, Metrics, Record, Session

BATCH = 500
"""Metrics in one request; MLflow takes at most 1,000."""
N_READ = 1_000
"""Records between two notes of how far the store has the journal."""
EVERY_S = 1.0
"""Between two looks at the journal: rollouts take about as long."""
FIRST_S, LONGEST_S = 1.0, 60.0
"""Pauses after failures: the first, and the longest of those that double from it; one that is back is used in a minute."""
PATIENCE_S = 10.0
"""How long the end of a run waits for a store that answers nothing: a request that is answered at all takes less, and it is
short beside any training."""


class RefusedError(Exception):
    """A store will never take a record."""


class LostRunError(Exception):
    """A store does not have a run that it was given: it is another one, or was emptied."""


class Destination(Protocol):
    """Where records go. To take one that it has already changes nothing there."""

    on_answer: Callable[[], None]
    """To be called when one of several requests that deliver a record was answered: it is not given up then."""
    is_working: bool
    """Whether it is busy by itself, and does not wait for an answer."""

    @property
    def runs(self) -> Mapping[str, str]:
        """Ids of the open runs, by their keys."""

    def check(self) -> None:
        """Raise any error unless it answers."""

    def open(self) -> None:
        """Make ready what is made in this process, which takes as long as it takes."""

    def begin(self, session: Session, runs: Mapping[str, str]) -> None:
        """Go on with a session whose open runs have these ids.

        Raises
        ------
        LostRunError
            One of them is not there.
        """

    def deliver(self, records: Sequence[Record]) -> None:
        """Take one record, or metrics of one run.

        Raises
        ------
        RefusedError, LostRunError
            It will never take them, or does not have their run; any other error is one of today.
        """


def pause_s(n_failures: int) -> float:
    """Seconds to the next try."""
    return EVERY_S if n_failures == 0 else min(FIRST_S * 2.0 ** min(n_failures - 1, 30), LONGEST_S)


def requests(batch: Sequence[Placed]) -> Iterator[list[Placed]]:
    """The records that go together: metrics of a run that follow each other, up to :data:`BATCH`; others by themselves."""
    request: list[Placed] = []
    n = 0
    for placed in batch:
        record = placed.record
        size = len(record.values) if isinstance(record, Metrics) else 0
        before = request[-1].record if request else None
        fits = isinstance(record, Metrics) and isinstance(before, Metrics) and before.run == record.run and n + size <= BATCH
        if request and not fits:
            yield request
            request, n = [], 0
        request.append(placed)
        n += size
    if request:
        yield request


class Synced(NamedTuple):
    """What became of records.

    Attributes
    ----------
    n_delivered, n_waiting
        Now, and not yet.
    n_refused, first_refused
        Of their sessions those that the store will never take; where the first of them stands.
    failure
        What kind of error kept the others from being delivered.
    """

    n_delivered: int = 0
    n_waiting: int = 0
    n_refused: int = 0
    first_refused: str = ""
    failure: str = ""

    def and_then(self, other: Synced) -> Synced:
        """Both together."""
        return Synced(
            self.n_delivered + other.n_delivered,
            self.n_waiting + other.n_waiting,
            self.n_refused + other.n_refused,
            self.first_refused or other.first_refused,
            self.failure or other.failure,
        )

    def lines(self, out: Path) -> list[str]:
        """What one should know of that, if anything."""
        lines = []
        if self.n_waiting:
            why = self.failure or "no answer"
            lines.append(f"{self.n_waiting:,} records wait for MLflow ({why}), deliver them with: metabalance sync {out}")
        if self.n_refused:
            lines.append(f"MLflow refused {self.n_refused:,} records, the first at {self.first_refused}")
        return lines


class Shipper:
    """Delivers the journal of a folder, which its owner has open, from where the last one ended.

    Parameters
    ----------
    folder
        Of the journal; the first record is in there.
    destination
        Where it goes. Only the shipper's thread calls it.
    """

    def __init__(self, folder: Path, destination: Destination) -> None:
        self._folder, self._destination = OutputFolder(folder), destination
        destination.on_answer, destination.is_working = self._be_patient, False
        self._cursor = self._noted = Cursor.load(folder)
        self._furthest, self._n_delivered, self._failure = self._cursor.delivered, 0, ""
        self._is_open = self._is_closing = self._is_done = self._is_left = False
        self._wake, self._moved = threading.Event(), threading.Condition()

    def start(self) -> None:
        """Deliver from now on. A thread that a store holds up does not hold up the end of its process."""
        threading.Thread(target=self._run, name="tracking", daemon=True).start()

    def finish(self) -> None:
        """Wait while records get there, and not much longer. Nothing is delivered afterwards."""
        self._is_closing = True
        self._wake.set()
        with self._moved:
            try:
                while not self._is_done and (self._moved.wait(PATIENCE_S) or self._destination.is_working):
                    pass
            finally:
                with suppress(OSError):  # what is not noted is sent again
                    self._note()
                self._is_left = True

    @property
    def synced(self) -> Synced:
        """What has become of the records so far."""
        journal, cursor = self._folder.journal, self._cursor
        n_waiting = n_lines(journal, cursor.delivered)
        first = f"{journal} line {n_lines(journal) - n_lines(journal, cursor.first_refused)}" if cursor.n_refused else ""
        return Synced(self._n_delivered, n_waiting, cursor.n_refused, first, self._failure if n_waiting else "")

    def _run(self) -> None:
        n_failures = 0
        while not self._is_left:
            is_last = self._is_closing
            n_failures = 0 if self.deliver() else n_failures + 1
            if is_last and n_failures == 0:
                self._remove_copies()
                break
            if self._wake.wait(min(pause_s(n_failures), FIRST_S) if is_last else pause_s(n_failures)):
                self._wake.clear()
        with self._moved:
            self._is_done = True
            self._moved.notify_all()

    def deliver(self) -> bool:
        """Deliver what there is, as the thread does now and then; whether nothing waits then."""
        try:
            while not self._is_left and (batch := read(self._folder.journal, self._cursor.delivered, N_READ)):
                self._open()
                self._deliver_all(batch)
        except Exception as error:  # whatever a store may raise, training goes on, and so do other tries
            self._is_open, self._failure = False, kind_of(error)
            return False
        self._failure = ""
        return not self._is_left

    def _open(self) -> None:
        if self._is_open:
            return
        self._destination.check()
        self._destination.is_working = True
        try:
            self._destination.open()
        finally:
            self._destination.is_working = False
        if self._cursor.delivered > self._cursor.session:
            (first,) = read(self._folder.journal, self._cursor.session, 1)
            assert isinstance(first.record, Session)
            try:
                self._destination.begin(first.record, self._cursor.runs)
            except LostRunError:
                self._cursor = self._cursor.rewound
                raise
        self._is_open = True

    def _deliver_all(self, batch: Sequence[Placed]) -> None:
        """Deliver records, and note how far that went."""
        try:
            for request in requests(batch):
                if self._is_left:
                    return
                self._deliver(request)
        except LostRunError:
            self._cursor = self._cursor.rewound
            raise
        finally:
            with self._moved:
                self._note()
            for placed in batch:
                if placed.end <= self._noted.delivered and isinstance(placed.record, Copied):
                    self._remove_copy(placed.record)

    def _deliver(self, request: list[Placed]) -> None:
        is_taken = True
        try:
            self._destination.deliver([placed.record for placed in request])
        except RefusedError:
            if len(request) > 1:
                for placed in request:
                    self._deliver([placed])
                return
            is_taken = False
        with self._moved:
            if self._is_left:
                return
            self._cursor = self._cursor.after(request[-1], self._destination.runs, is_taken)
            if self._cursor.delivered > self._furthest:
                self._furthest = self._cursor.delivered
                self._n_delivered += len(request) * is_taken
                self._moved.notify_all()

    def _be_patient(self) -> None:
        with self._moved:
            self._moved.notify_all()

    def _note(self) -> None:
        """Write down how far the store has the journal, unless that is somebody else's to say by now."""
        if not self._is_left and self._cursor != self._noted:
            self._cursor.save(self._folder.path)
            self._noted = self._cursor

    def _remove_copy(self, record: Copied) -> None:
        """Remove the copy of what the store has; nothing but what a journal has put there."""
        kept = self._folder.undelivered
        folder = (self._folder.path / record.copy).parent
        if folder.parent == kept and not kept.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_copies(self) -> None:
        """Remove what is left of copies, those of a process that was killed among them: nothing waits."""
        shutil.rmtree(self._folder.undelivered, ignore_errors=True)
