"""Experiments in MLflow. This is the only module that imports it, and only in its own thread.

A parent run holds the settings and the final figures, its children the phases and the arms. Everything is handed to one
worker thread: opening the store, a second or ten for a new database, never holds up training, and metrics go out in batches.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
Level = Literal["experiment", "seed", "lower", "upper", "flat", "arm", "seed_arm", "benchmark"]
Status = Literal["FINISHED", "FAILED", "KILLED"]

STORE_NAME = "mlflow.db"
BATCH = 500
"""Metrics in one request; MLflow takes at most 1,000."""
MAX_PARAMS = 100
OUT_TAG = "out"


def store_uri(out_root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or else an SQLite file in the folder of all outputs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out_root / STORE_NAME).resolve()}"


def artifact_root(out_root: Path) -> str:
    """Where a local store keeps files."""
    return (out_root / "mlartifacts").resolve().as_uri()


def parameters(config: object, prefix: str = "") -> dict[str, str]:
    """Every setting of a tree of dataclasses, by its dotted name."""
    out: dict[str, str] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        out |= parameters(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: str(value)}
    return out


def git_commit() -> str:
    """The commit that the code is from, or `unknown` outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


VIEW_TAG = "mlflow.sharedViewState."
"""Tag of an MLflow experiment that holds a shared view of its runs page; the address asks for it by key."""
RANKED = "metrics.`objective`"


def arms_view(parent: str, columns: Sequence[str]) -> str:
    """The state of MLflow's runs page that shows the arms below a parent run, best objective first, with more columns."""
    state = {
        "searchFilter": f"tags.level = 'arm' and tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": RANKED,
        "orderByAsc": False,
        "selectedColumns": [RANKED, *columns],
    }
    return json.dumps(state)


def view_address(base: str, experiment_id: str, key: str) -> str:
    """The address of a shared view of MLflow's runs page."""
    return f"{base}/#/experiments/{experiment_id}/runs?viewStateShareKey={quote(key)}"


def latest_view(client: MlflowClient, experiment_id: str) -> str | None:
    """The key of the latest experiment whose arms can be viewed; None before any has been compared."""
    views = client.get_experiment(experiment_id).tags
    for run in client.search_runs([experiment_id], "tags.level = 'experiment'", order_by=["attributes.start_time DESC"]):
        if VIEW_TAG + run.info.run_id in views:
            return str(run.info.run_id)
    return None


class Run:
    """One MLflow run, filled from any thread and written by the tracker's."""

    def __init__(self, tracker: Tracker, level: Level, name: str, parent: Run | str | None, tags: Mapping[str, str]) -> None:
        self._tracker = tracker
        self._pending: list[tuple[str, float, int, int]] = []
        self._status: Status | None = None
        self._id: Future[str] = tracker.submit(lambda client: self._create(client, level, name, parent, tags))

    def _create(
        self, client: MlflowClient, level: Level, name: str, parent: Run | str | None, tags: Mapping[str, str]
    ) -> str:
        all_tags = {"level": level, **self._tracker.tags, **tags}
        if parent is not None:
            all_tags["mlflow.parentRunId"] = parent if isinstance(parent, str) else parent.id
        return str(client.create_run(self._tracker.experiment_id, tags=all_tags, run_name=name).info.run_id)

    @property
    def id(self) -> str:
        """Of the run in the store; waits until it is made."""
        return self._id.result()

    def parameters(self, values: Mapping[str, str]) -> None:
        """Log settings."""
        from_mlflow = list(values.items())

        def write(client: MlflowClient) -> None:
            from mlflow.entities import Param

            for start in range(0, len(from_mlflow), MAX_PARAMS):
                chunk = [Param(key, value[:6000]) for key, value in from_mlflow[start : start + MAX_PARAMS]]
                client.log_batch(self._id.result(), params=chunk)

        self._tracker.submit(write)

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
                client.log_batch(self._id.result(), [Metric(*entry) for entry in pending[start : start + BATCH]])

        if pending:
            self._tracker.submit(write)

    def artifact(self, path: Path) -> None:
        """Keep a file with the run."""
        self._tracker.submit(lambda client: client.log_artifact(self._id.result(), str(path)))

    def describe(self, markdown: str) -> None:
        """Set the description that MLflow shows on the run's page."""
        self._tracker.submit(lambda client: client.set_tag(self._id.result(), "mlflow.note.content", markdown))

    def share_arms(self, columns: Sequence[str]) -> None:
        """Keep a view of the arms below this run, see :func:`latest_view`."""
        self._tracker.submit(
            lambda client: client.set_experiment_tag(
                self._tracker.experiment_id, VIEW_TAG + self.id, arms_view(self.id, columns)
            )
        )

    def end(self, status: Status = "FINISHED") -> None:
        """Write what is pending and close the run; later calls change nothing."""
        if self._status is not None:
            return
        self._status = status
        self.flush()
        self._tracker.submit(lambda client: client.set_terminated(self._id.result(), status))

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
        Tracking store, see :func:`store_uri`.
    artifacts
        Where a store on this machine keeps files, see :func:`artifact_root`.
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
            found = self._client.get_experiment_by_name(self._experiment)
            if found is None:
                self.experiment_id = str(self._client.create_experiment(self._experiment, local))
            else:
                self.experiment_id = str(found.experiment_id)
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

    def run(self, level: Level, name: str, parent: Run | str | None = None, **tags: str) -> Run:
        """Begin a run, below another one or below the run of that id."""
        return Run(self, level, name, parent, tags)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for all that was handed over; a failed write is raised, unless something else failed first."""
        self._worker.shutdown(wait=True)
        if kind is None:
            for future in self._futures:
                future.result()


def open_store(uri: str) -> MlflowClient:
    """A client of a store, quiet about its own set-up."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    import logging

    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def refusal(uri: str) -> str | None:
    """Why a store can't be opened, in a sentence; None when it can."""
    from mlflow.exceptions import MlflowException

    try:
        open_store(uri).search_experiments(max_results=1)
    except MlflowException as error:
        return " ".join(str(error).split()).partition(". ")[0]
    return None
