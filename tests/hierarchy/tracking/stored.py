"""Reads a store back, for the tests of what is written to it."""

from __future__ import annotations

from pathlib import Path

from mlflow.entities import Run as StoredRun

from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.tracking.mlflow_runs import KEY_TAG
from hierarchy.tracking.mlflow_store import open_store, store_uri
from hierarchy.tracking.progress import Silent
from hierarchy.tracking.tracked import Tracker


class StopError(Exception):
    """Something went wrong in an experiment."""


def runs_of(root: Path, query: str = "", name: str = "metabalance") -> list[StoredRun]:
    client = open_store(store_uri(root))
    stored = client.get_experiment_by_name(name)
    return [] if stored is None else list(client.search_runs([stored.experiment_id], query, max_results=1000))


def id_of(key: str, root: Path) -> str:
    """The id of the run of a key."""
    (run,) = runs_of(root, f"tags.`{KEY_TAG}` = '{key}'")
    return str(run.info.run_id)


def experiment_in(config: ExperimentConfig, root: Path, name: str = "one") -> Experiment:
    return Experiment(config, root / name, "tiny", Silent())


def tracker_of(root: Path) -> Tracker:
    return Tracker(root / "one", "metabalance", {})


def log_and_fail(experiment: Experiment) -> None:
    """Log one figure, then raise."""
    with experiment.opened() as opened:
        opened.sink.metrics({"objective/learned": 0.25}, step=3)
        raise StopError
