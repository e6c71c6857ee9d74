"""Where MLflow keeps experiments, and how it is opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE_NAME = "mlflow.db"
ANSWER_S = 5.0
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""Tag of an MLflow experiment that marks it as model training, so that no page has to ask or guess."""


def store_uri(out_root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or else an SQLite file in the folder of all outputs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out_root / STORE_NAME).resolve()}"


def artifact_root(out_root: Path) -> str:
    """Where a local store keeps files."""
    return (out_root / "mlartifacts").resolve().as_uri()


def answers(uri: str) -> bool:
    """Whether the server of a store can be reached; a store without a server of its own always can."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or address.hostname is None:
        return True
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        socket.create_connection((address.hostname, port), ANSWER_S).close()
    except OSError:
        return False
    return True


def open_store(uri: str) -> MlflowClient:
    """A client of a store, quiet about its own set-up."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    import logging

    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=uri)


def open_experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of an experiment, made when missing and marked as model training unless it is marked otherwise.

    ``artifacts`` is where its files go, None where the store decides.
    """
    there = client.get_experiment_by_name(name)
    experiment_id = str(client.create_experiment(name, artifacts) if there is None else there.experiment_id)
    if there is None or KIND_TAG not in there.tags:
        client.set_experiment_tag(experiment_id, KIND_TAG, KIND)
    return experiment_id
