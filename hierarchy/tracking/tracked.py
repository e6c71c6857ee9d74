"""The sink of MLflow: figures go to the journal of the output folder, and from there to the store, whenever it answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Self

from hierarchy.stopping import PrunedError
from hierarchy.storage.bundle import Bundle
from hierarchy.tracking.journal import Journal
from hierarchy.tracking.mlflow_runs import MlflowRuns
from hierarchy.tracking.mlflow_store import artifact_root, store_uri
from hierarchy.tracking.records import Status
from hierarchy.tracking.shipper import Shipper, Synced
from hierarchy.tracking.sinks import NOTHING_SHOWN, Begun, Level, Shown, Sink

UNTRACKED: tuple[Level, ...] = ("compiling", "tuning", "scoring", "ablation")
"""Runs that are work to be done and have no figures of their own: their children are those of the run above."""


class Run(Sink):
    """One run, known by its key.

    Parameters
    ----------
    journal
        Where it is journaled.
    key
        Its key there.
    tags
        Of every run of the experiment.
    """

    def __init__(self, journal: Journal, key: str, tags: Mapping[str, str]) -> None:
        self._journal, self.key, self._tags = journal, key, tags
        self._status: Status | None = None

    def begin(self, run: Begun) -> AbstractContextManager[Run]:
        """A run below this one, see :data:`UNTRACKED`."""
        if run.level in UNTRACKED:
            return nullcontext(self)
        key = self._journal.begin(run.level, run.name, self.key, run.parameters, {**self._tags, **run.tags})
        return Run(self._journal, key, self._tags)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Journal figures at a step."""
        self._journal.metrics(self.key, values, step)

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""
        self._journal.artifact(self.key, path)

    def model(self, bundle: Bundle) -> None:
        """Keep a pair of agents with the run, and register it."""
        self._journal.model(self.key, bundle)

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """Set what MLflow shows on the run's page, and keep a view of the arms below it if any figures are shown."""
        self._journal.describe(self.key, markdown, shown)

    def end(self, status: Status = "FINISHED") -> None:
        """Close the run; later calls change nothing."""
        if self._status is None:
            self._status = status
            self._journal.end(self.key, status)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end(status_of(kind))


def status_of(kind: type[BaseException] | None) -> Status:
    """How a run ends after an exception of this kind, or none."""
    if kind is None:
        return "FINISHED"
    return "KILLED" if issubclass(kind, (KeyboardInterrupt, PrunedError)) else "FAILED"


class Tracker:
    """The runs of one experiment. Use as a context manager: leaving it waits while they are delivered.

    Parameters
    ----------
    folder
        Output folder, which gets the journal.
    experiment
        Name of the MLflow experiment, made when missing.
    tags
        Of every run.
    above
        Folders up to that of all outputs, which has the store unless the environment names one.
    resumed
        Whether the experiment goes on that the journal ends with, see :meth:`hierarchy.tracking.journal.Journal.open`.

    Raises
    ------
    SettingError
        Another process writes the folder's journal, or a line of it is no record.
    """

    def __init__(
        self, folder: Path, experiment: str, tags: Mapping[str, str], above: int = 1, *, resumed: bool = False
    ) -> None:
        self._tags = dict(tags)
        self._journal = Journal.open(folder, experiment, above, resumed=resumed)
        self._shipper = Shipper(folder, store_of(folder, above))
        self._shipper.start()

    @property
    def synced(self) -> Synced:
        """What has become of the records so far."""
        return self._shipper.synced

    def run(self, level: Level, name: str, parent: str | None = None, parameters: Mapping[str, str] | None = None) -> Run:
        """Begin a run at the top, or below the run of that key."""
        return Run(self._journal, self._journal.begin(level, name, parent, parameters or {}, self._tags), self._tags)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._shipper.finish()
        finally:
            self._journal.close()


def store_of(folder: Path, above: int) -> MlflowRuns:
    """Where the runs of an output folder go."""
    root = folder.absolute().parents[above - 1]
    return MlflowRuns(folder, store_uri(root), artifact_root(root))
