"""The sink of MLflow: a parent run holds the settings and the final figures, its children the phases and the arms.

Everything is handed to one worker thread, the only one that imports MLflow: opening the store, a second or ten for a new
database, never holds up training, and metrics go out in batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from hierarchy.tracking.mlflow_store import open_experiment, open_store
from hierarchy.tracking.mlflow_views import VIEW_TAG, arms_view
from hierarchy.tracking.sinks import NOTHING_SHOWN, Begun, Level, Shown, Sink

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
Status = Literal["FINISHED", "FAILED", "KILLED"]

BATCH = 500
"""Metrics in one request; MLflow takes at most 1,000."""
MAX_PARAMS, MAX_PARAM_LETTERS = 100, 6000
"""What MLflow takes in one request and in one value."""
OUT_TAG = "out"
UNTRACKED: tuple[Level, ...] = ("compiling", "tuning", "ablation")
"""Runs that are work to be done and have no figures of their own: their children are those of the run above."""


class Run(Sink):
    """One MLflow run, filled from any thread and written by the tracker's.

    Parameters
    ----------
    tracker
        Its store.
    level, name
        What it is of, and what it is called.
    parent
        The run above it, or the id of that; None for one at the top.
    parameters, tags
        Settings and marks, name -> value.
    """

    def __init__(
        self,
        tracker: Tracker,
        level: Level,
        name: str,
        parent: Run | str | None,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
    ) -> None:
        self._tracker = tracker
        self._pending: list[tuple[str, float, int, int]] = []
        self._status: Status | None = None
        marks = {"level": level, **tracker.tags, **tags}
        self._id: Future[str] = tracker.submit(lambda client: self._create(client, name, parent, marks))
        if parameters:
            self._log_parameters(parameters)

    def _create(self, client: MlflowClient, name: str, parent: Run | str | None, tags: dict[str, str]) -> str:
        if parent is not None:
            tags = {**tags, "mlflow.parentRunId": parent if isinstance(parent, str) else parent.id}
        return str(client.create_run(self._tracker.experiment_id, tags=tags, run_name=name).info.run_id)

    def _log_parameters(self, values: Mapping[str, str]) -> None:
        entries = [(name, value[:MAX_PARAM_LETTERS]) for name, value in values.items()]

        def write(client: MlflowClient) -> None:
            from mlflow.entities import Param

            for start in range(0, len(entries), MAX_PARAMS):
                client.log_batch(self.id, params=[Param(*entry) for entry in entries[start : start + MAX_PARAMS]])

        self._tracker.submit(write)

    @property
    def id(self) -> str:
        """Of the run in the store; waits until it is made."""
        return self._id.result()

    def begin(self, run: Begun) -> AbstractContextManager[Run]:
        """A run below this one, see :data:`UNTRACKED`."""
        if run.level in UNTRACKED:
            return nullcontext(self)
        return Run(self._tracker, run.level, run.name, self, run.parameters, run.tags)

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log figures at a step; they leave in batches."""
        now_ms = int(time.time() * 1000)
        self._pending += [(name, float(value), now_ms, step) for name, value in values.items()]
        if len(self._pending) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand what is pending to the worker."""
        pending, self._pending = self._pending, []

        def write(client: MlflowClient) -> None:
            from mlflow.entities import Metric

            for start in range(0, len(pending), BATCH):
                client.log_batch(self.id, [Metric(*entry) for entry in pending[start : start + BATCH]])

        if pending:
            self._tracker.submit(write)

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""
        self._tracker.submit(lambda client: client.log_artifact(self.id, str(path)))

    def describe(self, markdown: str, shown: Shown = NOTHING_SHOWN) -> None:
        """Set what MLflow shows on the run's page, and keep a view of the arms below it if any figures are shown."""
        self._tracker.submit(lambda client: client.set_tag(self.id, "mlflow.note.content", markdown))
        if shown != NOTHING_SHOWN:
            self._tracker.submit(
                lambda client: client.set_experiment_tag(
                    self._tracker.experiment_id, VIEW_TAG + self.id, arms_view(self.id, shown)
                )
            )

    def end(self, status: Status = "FINISHED") -> None:
        """Write what is pending and close the run; later calls change nothing."""
        if self._status is not None:
            return
        self._status = status
        self.flush()
        self._tracker.submit(lambda client: client.set_terminated(self.id, status))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end(status_of(kind))


def status_of(kind: type[BaseException] | None) -> Status:
    """How a run ends after an exception of this kind, or none."""
    if kind is None:
        return "FINISHED"
    return "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"


class Tracker:
    """The store of one experiment. Use as a context manager: leaving it writes everything out.

    Parameters
    ----------
    uri
        Tracking store, see :func:`hierarchy.tracking.mlflow_store.store_uri`.
    artifacts
        Where a store on this machine keeps files, see :func:`hierarchy.tracking.mlflow_store.artifact_root`.
    experiment
        Name of the MLflow experiment, made when missing.
    tags
        Of every run.
    """

    def __init__(self, uri: str, artifacts: str, experiment: str, tags: Mapping[str, str]) -> None:
        self.tags = dict(tags)
        self.experiment_id = ""
        self._uri, self._artifacts, self._experiment = uri, artifacts, experiment
        self._client: MlflowClient | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracking")
        self._futures: list[Future[Any]] = []
        self.submit(self._close_abandoned_runs)

    def _open(self) -> MlflowClient:
        if self._client is None:
            self._client = open_store(self._uri)
            local = self._artifacts if self._uri.startswith("sqlite:") else None
            self.experiment_id = open_experiment(self._client, self._experiment, local)
        return self._client

    def submit(self, job: Callable[[MlflowClient], T]) -> Future[T]:
        """Run a job on the worker, after all that came before."""
        future = self._worker.submit(lambda: job(self._open()))
        self._futures.append(future)
        return future

    def _close_abandoned_runs(self, client: MlflowClient) -> None:
        """End the runs that a kill left RUNNING in this output folder."""
        for run in client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            if run.data.tags.get(OUT_TAG) == self.tags.get(OUT_TAG):
                client.set_terminated(run.info.run_id, "KILLED")

    def run(self, level: Level, name: str, parent: str | None = None, parameters: Mapping[str, str] | None = None) -> Run:
        """Begin a run at the top, or below the run of that id."""
        return Run(self, level, name, parent, parameters or {}, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for all that was handed over; a failed write is raised, unless something else failed first."""
        self._worker.shutdown(wait=True)
        if kind is None:
            for future in self._futures:
                future.result()
