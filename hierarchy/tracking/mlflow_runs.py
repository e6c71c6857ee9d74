"""Runs in MLflow: a parent holds the settings and the final figures, its children the phases and the arms.

MLflow names a run itself when it makes it, so ours carry their key in a tag, and are looked for before they are made: a run
is not made twice when the answer to a request is lost. Metrics have the time at which they were journaled, and with it their
own place in MLflow's tables: those that are sent again are there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from hierarchy.storage.bundle import BUNDLE_FILES, BUNDLE_NAME, Bundle, read_bundle
from hierarchy.storage.files import digest_of
from hierarchy.tracking.answering import check_answers
from hierarchy.tracking.mlflow_models import LoggedRun, log_pair, write_model
from hierarchy.tracking.mlflow_store import KEY_TAG, SQLITE, open_experiment, open_store
from hierarchy.tracking.mlflow_views import VIEW_TAG, arms_view
from hierarchy.tracking.records import Again, Artifact, Begin, Description, End, Metrics, Model, Record, Session
from hierarchy.tracking.shipper import LostRunError, RefusedError
from hierarchy.tracking.sinks import NOTHING_SHOWN, Shown

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

MAX_PARAMS, MAX_PARAM_LETTERS = 100, 6000
"""What MLflow takes in one request and in one value."""
OUT_TAG, PARENT_TAG = "out", "mlflow.parentRunId"
"""Tags of a run: its output folder, the id of the run above."""
REFUSED, NOT_THERE = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"
"""Error codes of MLflow for what it will never take, and for what it does not have."""
NOT_FOR_US = ("PERMISSION_DENIED", "ENDPOINT_NOT_FOUND", NOT_THERE)
"""Those that refuse a model for good: who tracks may not register, or the server has no registry of this kind."""


class MlflowRuns:
    """Where the shipper of a folder takes its records.

    Parameters
    ----------
    folder
        Output folder, where files are; no other file is ever sent.
    uri
        Tracking store, see :func:`hierarchy.tracking.mlflow_store.store_uri`.
    artifacts
        Where a store on this machine keeps files, see :func:`hierarchy.tracking.mlflow_store.artifact_root`.
    """

    def __init__(self, folder: Path, uri: str, artifacts: str) -> None:
        self.runs: dict[str, str] = {}
        self.uri, self._folder = uri, folder.resolve()
        self._artifacts = artifacts if uri.startswith(SQLITE) else None
        self._opened: MlflowClient | None = None
        self._experiment_id = ""
        self.on_answer: Callable[[], None] = lambda: None
        self.is_working = False

    def check(self) -> None:
        """Raise any error unless it answers."""
        check_answers(self.uri)

    def open(self) -> None:
        """Import MLflow; a database without tables gets them."""
        self._opened = open_store(self.uri)

    @property
    def _client(self) -> MlflowClient:
        assert self._opened is not None
        return self._opened

    def begin(self, session: Session, runs: Mapping[str, str]) -> None:
        """Go on with a session whose open runs have these ids."""
        self._experiment_id = open_experiment(self._client, session.experiment, self._artifacts)
        with _told_apart():
            for key, run_id in runs.items():
                if self._client.get_run(run_id).data.tags.get(KEY_TAG) != key:
                    raise LostRunError
        self.runs = dict(runs)

    def deliver(self, records: Sequence[Record]) -> None:
        """Take one record, or metrics of one run."""
        first = records[0]
        if isinstance(first, Session):
            self.begin(first, {})
            self._end_abandoned(first)
            return
        if isinstance(first, Begin):
            self._begin_run(first)
        with _told_apart():
            self._write(first, records)

    def _write(self, first: Record, records: Sequence[Record]) -> None:
        match first:
            case Begin():
                self._log_parameters(first)
            case Again():
                self.runs[first.run] = self._id(first.run)
                self._client.update_run(self.runs[first.run], "RUNNING")
            case Metrics():
                self._log_metrics(first.run, [record for record in records if isinstance(record, Metrics)])
            case Artifact():
                self._client.log_artifact(self._id(first.run), str(self._file(first)))
            case Model():
                self._log_model(first)
            case Description():
                self._describe(first)
            case End():
                self._end(first)

    def _found(self, key: str) -> str | None:
        """The id of the run of a key, one that was deleted if need be; of several any: what was sent to it is sent again."""
        runs = self._with_tag(KEY_TAG, key) or self._with_tag(KEY_TAG, key, deleted=True)
        return min((str(run.info.run_id) for run in runs), default=None)

    def _with_tag(self, tag: str, value: str, *, deleted: bool = False) -> list[StoredRun]:
        """Runs of the experiment that carry a tag."""
        from mlflow.entities import ViewType

        view = ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
        return list(self._client.search_runs([self._experiment_id], f"tags.`{tag}` = '{value}'", view))

    def _id(self, key: str) -> str:
        run_id = self.runs.get(key) or self._found(key)
        if run_id is None:
            raise LostRunError
        return run_id

    def _begin_run(self, run: Begin) -> None:
        """Make a run unless it is there. One that MLflow does not take is not passed over: all others would miss it."""
        tags = {**run.tags, "level": run.level, KEY_TAG: run.run}
        if run.parent is not None:
            tags[PARENT_TAG] = self._id(run.parent)
        run_id = self._found(run.run)
        if run_id is None:
            made = self._client.create_run(self._experiment_id, run.time_ms, tags, run.name)
            run_id = str(made.info.run_id)
        self.runs[run.run] = run_id

    def _log_parameters(self, run: Begin) -> None:
        from mlflow.entities import Param

        entries = [Param(name, value[:MAX_PARAM_LETTERS]) for name, value in run.parameters.items()]
        for start in range(0, len(entries), MAX_PARAMS):
            self._client.log_batch(self.runs[run.run], params=entries[start : start + MAX_PARAMS], synchronous=True)

    def _log_metrics(self, key: str, records: Sequence[Metrics]) -> None:
        from mlflow.entities import Metric

        entries = [
            Metric(name, value, record.time_ms, record.step) for record in records for name, value in record.values.items()
        ]
        self._client.log_batch(self._id(key), entries, synchronous=True)

    def _file(self, artifact: Artifact) -> Path:
        """The copy of a file, or the file itself while it is the same; nothing outside of the folder, by a link either."""
        for name in (artifact.copy, artifact.path):
            path = Path(os.path.realpath(self._folder / name))
            if path.is_relative_to(self._folder) and path.is_file() and digest_of(path) == artifact.sha256:
                return path
        raise RefusedError

    def _log_model(self, model: Model) -> None:
        """Log and register a pair. It is refused where we may not, or the server has no such registry: no run waits."""
        from mlflow.exceptions import MlflowException

        run = LoggedRun(self._experiment_id, self._id(model.run), model.run)
        try:
            log_pair(self._client, run, lambda folder: self._write_model(model, folder), self.on_answer)
        except MlflowException as error:
            if cast(str, error.error_code) in NOT_FOR_US:
                raise RefusedError from None
            raise

    def _write_model(self, model: Model, folder: Path) -> None:
        """Write what is registered. What is no bundle of this version is refused, whatever it is."""
        self.is_working = True
        try:
            write_model(self._bundle(model), folder)
        except OSError:
            raise
        except Exception:
            raise RefusedError from None
        finally:
            self.is_working = False

    def _bundle(self, model: Model) -> Bundle:
        """The bundle that waits, if it is the one that was journaled; of its files none is outside of the folder, by a link
        either.
        """
        folder = self._folder / model.copy
        for name in BUNDLE_FILES:
            path = Path(os.path.realpath(folder / name))
            if not path.is_relative_to(self._folder) or not path.is_file():
                raise RefusedError
        if digest_of(folder / BUNDLE_NAME) != model.sha256:
            raise RefusedError
        return read_bundle(folder)

    def _describe(self, one: Description) -> None:
        run_id, shown = self._id(one.run), Shown(one.shown_parameters, one.shown_metrics)
        self._client.set_tag(run_id, "mlflow.note.content", one.markdown, synchronous=True)
        if shown != NOTHING_SHOWN:
            self._client.set_experiment_tag(self._experiment_id, VIEW_TAG + run_id, arms_view(run_id, shown))

    def _end(self, end: End) -> None:
        """Close a run, and delete others of its key: a request to make it may be answered after it was given up."""
        run_id = self._id(end.run)
        self._client.set_terminated(run_id, end.status, end.time_ms)
        for run in self._with_tag(KEY_TAG, end.run):
            if run.info.run_id != run_id:
                for child in self._with_tag(PARENT_TAG, run.info.run_id):
                    self._client.set_tag(child.info.run_id, PARENT_TAG, run_id, synchronous=True)
                self._client.delete_run(run.info.run_id)
        self.runs.pop(end.run, None)

    def _end_abandoned(self, session: Session) -> None:
        """End the runs of this output folder that are open from before a session: its journal has gone, or never was."""
        for run in self._client.search_runs([self._experiment_id], "attributes.status = 'RUNNING'"):
            if run.data.tags.get(OUT_TAG) == str(self._folder) and run.info.start_time < session.time_ms:
                self._client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell errors of a record and of a run from those of today."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        code = cast(str, error.error_code)
        if code == REFUSED:
            raise RefusedError from None
        if code == NOT_THERE:
            raise LostRunError from None
        raise
