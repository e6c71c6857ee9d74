"""The journal of a folder: figures are on the disk before anybody sends them anywhere, and stay there.

A process that is killed loses nothing that it has journaled: every record is handed to the system at once, and a line that
was cut short is dropped when the journal is opened again. A run has a key of its own, by which it is known everywhere.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from hierarchy.executors.attempts import HeldError
from hierarchy.storage.bundle import BUNDLE_NAME, Bundle, write_bundle
from hierarchy.storage.files import digest_of
from hierarchy.storage.folder import OutputFolder
from hierarchy.tracking.history import History
from hierarchy.tracking.records import (
    Again,
    Artifact,
    Begin,
    Description,
    End,
    Metrics,
    Model,
    Record,
    Session,
    Status,
    line_of,
)
from hierarchy.tracking.sinks import NOTHING_SHOWN, Level, Shown


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def opened_alone(journal: Path) -> tuple[IO[bytes], History]:
    """A journal to append to, made if need be, and what it tells; no other process opens it before it is closed.

    Raises
    ------
    SettingError
        Another process has it open, or a line of it is no record.
    """
    file = journal.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        history = History.of(journal)
        file.truncate(history.size)
    except BlockingIOError:
        file.close()
        raise HeldError("journal", "one that no other process writes to", journal) from None
    except BaseException:
        file.close()
        raise
    return file, history


def end_left(folder: Path) -> None:
    """End the runs of a folder that a process has left open that was ended from outside and is not gone on with.

    Raises
    ------
    SettingError
        That process is still there.
    """
    journal = OutputFolder(folder).journal
    if not journal.is_file():
        return
    file, history = opened_alone(journal)
    with file:
        for run, is_running in history.running.items():
            if is_running:
                file.write(line_of(End(run, "KILLED", history.time_ms)))


class Journal:
    """The journal of one experiment, see :meth:`open`; any thread may use it."""

    def __init__(self, folder: Path, file: IO[bytes], before: History) -> None:
        self._folder, self._file, self._before = OutputFolder(folder), file, before
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, experiment: str, above: int = 1, *, resumed: bool = False) -> Self:
        """The journal of a folder, which is made if need be.

        Parameters
        ----------
        folder
            Output folder of the experiment.
        experiment
            Name of the MLflow experiment; one that is resumed stays in its own.
        above
            Folders up to that of all outputs.
        resumed
            Whether the experiment goes on that the journal ends with. A run that is begun again, with the level, name and
            parent of one before, is that run, and points are dropped that are no later than the last one journaled before:
            they are the same. Otherwise another experiment begins, and runs that a kill has left open are ended.

        Raises
        ------
        SettingError
            Another process has the journal open, or a line of it is no record.
        """
        folder.mkdir(parents=True, exist_ok=True)
        file, history = opened_alone(OutputFolder(folder).journal)
        if resumed and history.session is not None:
            return cls(folder, file, history)
        journal = cls(folder, file, History())
        for run, is_running in history.running.items():
            if is_running:
                journal._append(End(run, "KILLED", history.time_ms))
        journal._append(Session(experiment, above, now_ms()))
        return journal

    def _append(self, record: Record) -> None:
        with self._lock:
            self._file.write(line_of(record))
            self._file.flush()

    def begin(
        self, level: Level, name: str, parent: str | None, parameters: Mapping[str, str], tags: Mapping[str, str]
    ) -> str:
        """Begin a run below that of the key ``parent``; its key."""
        before = self._before.begun.get((level, name, parent))
        if before:
            run = before.pop(0)
            self._append(Again(run, now_ms()))
            return run
        run = uuid.uuid4().hex
        self._append(Begin(run, level, name, parent, dict(parameters), dict(tags), now_ms()))
        return run

    def metrics(self, run: str, values: Mapping[str, float], step: int) -> None:
        """Figures of a run at a step."""
        step, before = int(step), self._before.steps
        new = {name: float(value) for name, value in values.items() if step > before.get((run, name), step - 1)}
        if new:
            self._append(Metrics(run, step, new, now_ms()))

    def artifact(self, run: str, path: Path) -> None:
        """A file of a run. It is copied: it may be written over before it is sent."""
        copy, root = self._place_of(path.name), self._folder.path
        shutil.copyfile(path, copy)
        there = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        self._append(Artifact(run, there, copy.relative_to(root).as_posix(), digest_of(copy)))

    def model(self, run: str, bundle: Bundle) -> None:
        """The pair of agents of a run."""
        copy = self._place_of("bundle")
        write_bundle(bundle, copy)
        self._append(Model(run, copy.relative_to(self._folder.path).as_posix(), digest_of(copy / BUNDLE_NAME)))

    def _place_of(self, name: str) -> Path:
        """Where something of that name waits, in a folder by itself."""
        folder = self._folder.undelivered / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder / name

    def describe(self, run: str, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """What is shown of a run."""
        self._append(Description(run, markdown, shown.parameters, shown.metrics))

    def end(self, run: str, status: Status) -> None:
        """End a run; what is journaled is on the disk then."""
        self._append(End(run, status, now_ms()))
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others open it."""
        self._file.close()
