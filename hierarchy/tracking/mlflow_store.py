"""Where MLflow keeps experiments, and how it is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

STORE_NAME = "mlflow.db"
KIND_TAG, KIND = "mlflow.experimentKind", "custom_model_development"
"""Tag of an MLflow experiment that marks it as model training, so that no page has to ask or guess."""


def store_uri(out_root: Path) -> str:
    """`MLFLOW_TRACKING_URI`, or else an SQLite file in the folder of all outputs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(out_root / STORE_NAME).resolve()}"


def artifact_root(out_root: Path) -> str:
    """Where a local store keeps files."""
    return (out_root / "mlartifacts").resolve().as_uri()


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


def open_experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of an experiment, made when missing and marked as model training unless it is marked otherwise.

    ``artifacts`` is where its files go, None where the store decides.
    """
    there = client.get_experiment_by_name(name)
    experiment_id = str(client.create_experiment(name, artifacts) if there is None else there.experiment_id)
    if there is None or KIND_TAG not in there.tags:
        client.set_experiment_tag(experiment_id, KIND_TAG, KIND)
    return experiment_id
