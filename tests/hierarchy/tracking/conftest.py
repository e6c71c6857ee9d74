"""The runs of the shared experiment, read back from its store."""

from __future__ import annotations

from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun

from hierarchy.tracking.mlflow_store import open_store, store_uri
from tests.hierarchy.tracking.stored import runs_of


@pytest.fixture(scope="module")
def client(trained: Any) -> MlflowClient:
    return open_store(store_uri(trained.out.parent))


@pytest.fixture(scope="module")
def runs(trained: Any) -> dict[str, StoredRun]:
    """The runs of the shared experiment by level, arms by their name."""
    return {run.data.tags.get("arm", run.data.tags["level"]): run for run in runs_of(trained.out.parent)}


@pytest.fixture(scope="module")
def parent(runs: dict[str, StoredRun]) -> StoredRun:
    return runs["experiment"]
