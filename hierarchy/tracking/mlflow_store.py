"""Where MLflow keeps experiments, and how it is opened."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hierarchy.tracking.addresses import shown
from hierarchy.tracking.answering import NoAnswerError, kind_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE_VARIABLE = "MLFLOW_TRACKING_URI"
STORE_NAME = "mlflow.db"
KEY_TAG = "metabalance.key"
"""Tag of all that is made in a store: the key of its run, which says that it is there already."""
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""Tag of an MLflow experiment that marks it as model training, so that no page has to ask or guess."""
SQLITE = "sqlite:///"
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # MLflow would repeat the creation of a run without looking for it first
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # with the password
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # in the midst of ours
    "MLFLOW_UV_AUTO_DETECT": "false",  # else a model has files of the project that happens to be where this was started
}
"""What MLflow must do."""
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "PGCONNECT_TIMEOUT": "5",
}
"""What it does unless the environment says otherwise."""


def store_uri(out_root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or else an SQLite file in the folder of all outputs."""
    return os.environ.get(STORE_VARIABLE) or f"{SQLITE}{(out_root / STORE_NAME).resolve()}"


def store_exists(uri: str) -> bool:
    """Whether there is something to ask; a missing SQLite file would be made by asking for it."""
    return not uri.startswith("sqlite:") or Path(uri.removeprefix(SQLITE)).is_file()


def artifact_root(out_root: Path) -> str:
    """Where a local store keeps files."""
    return (out_root / "mlartifacts").resolve().as_uri()


def open_store(uri: str) -> MlflowClient:
    """A client of a store and its registry, quiet about set-up and what goes wrong, for addresses hold passwords."""
    os.environ.update(ENVIRONMENT)
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _alone_at(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def _alone_at(uri: str) -> Iterator[None]:
    """Keep other processes from opening an SQLite file meanwhile: the first makes its tables, which two can't."""
    if not uri.startswith(SQLITE):
        yield
        return
    folder = Path(uri.removeprefix(SQLITE)).parent
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def answering(uri: str) -> Iterator[MlflowClient]:
    """A client of a store for a few questions.

    Raises
    ------
    NoAnswerError
        Whatever went wrong.
    """
    try:
        yield open_store(uri)
    except Exception as error:
        raise NoAnswerError(kind_of(error)) from None


def refusal(uri: str) -> str | None:
    """Why MLflow can't open a store, as a clause, in its own words if the address hides nothing; None when it can."""
    from mlflow.exceptions import MlflowException

    try:
        open_store(uri).search_experiments(max_results=1)
    except MlflowException as error:
        return f" ({' '.join(str(error).split()).partition('. ')[0]})" if shown(uri) == uri else ""
    return None


def open_experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of an experiment, made when missing and marked as model training unless it is marked otherwise.

    ``artifacts`` is where its files go, None where the store decides.
    """
    there = client.get_experiment_by_name(name)
    experiment_id = str(client.create_experiment(name, artifacts) if there is None else there.experiment_id)
    if there is None or KIND_TAG not in there.tags:
        client.set_experiment_tag(experiment_id, KIND_TAG, KIND)
    return experiment_id
