"""Reads a store back, for the tests of what is written to it."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import Run as StoredRun

from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.tracking.mlflow_runs import Tracker
from hierarchy.tracking.mlflow_store import artifact_root, open_store, store_uri
from hierarchy.tracking.progress import Silent


class StopError(Exception):
    """Something went wrong in an experiment."""


def runs_of(root: Path, query: str = "", name: str = "metabalance") -> list[StoredRun]:
    client = open_store(store_uri(root))
    stored = client.get_experiment_by_name(name)
    return [] if stored is None else list(client.search_runs([stored.experiment_id], query, max_results=1000))


def experiment_in(config: ExperimentConfig, root: Path, name: str = "one") -> Experiment:
    return Experiment(config, root / name, "tiny", Silent())


def tracker_of(root: Path) -> Tracker:
    return Tracker(store_uri(root), artifact_root(root), "metabalance", {})


def log_and_fail(experiment: Experiment) -> None:
    """Log one figure, then raise."""
    with experiment.opened() as opened:
        opened.sink.metrics({"objective/learned": 0.25}, step=3)
        raise StopError
