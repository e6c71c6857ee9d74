"""Figures reach the store in batches, and a write that fails is not silent and harms nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.tracking import shipper
from hierarchy.tracking.mlflow_store import open_store, store_uri
from hierarchy.tracking.progress import Silent
from hierarchy.tracking.shipper import BATCH, Synced
from tests.hierarchy.tracking.stored import StopError, experiment_in, log_and_fail, runs_of, tracker_of


def log(root: Path, n_steps: int) -> Synced:
    """One run with two metrics at every step; what became of it."""
    with tracker_of(root) as tracker, tracker.run("lower", "lower", parameters={"a": "1"}) as run:
        for step in range(n_steps):
            run.metrics({"reward/latency": step / n_steps, "reward/cost": 0.0}, step)
    return tracker.synced


def test_more_metrics_than_fit_one_request_all_arrive_with_their_steps(out_root: Path) -> None:
    log(out_root, BATCH + 7)
    (stored,) = runs_of(out_root)
    history = open_store(store_uri(out_root)).get_metric_history(stored.info.run_id, "reward/latency")
    n_steps = BATCH + 7
    assert {metric.step: metric.value for metric in history} == {step: step / n_steps for step in range(n_steps)}


def test_metrics_leave_in_batches(out_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def count(self: MlflowClient, run_id: str, metrics: Any = (), **kwargs: Any) -> Any:
        sizes.append(len(metrics))
        return log_batch(self, run_id, metrics, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", count)
    log(out_root, 600)
    requests = [size for size in sizes if size]
    assert sum(requests) == 1200
    assert len(requests) <= 6, "the first may leave before all are there"
    assert max(requests) <= 1000


def refuse(*_: object, **__: object) -> None:
    raise OSError("disk full")


class Warned(Silent):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, line: str) -> None:
        self.lines.append(line)


def test_a_failed_write_is_not_silent_and_does_not_fail_an_experiment(
    tiny_config: ExperimentConfig, out_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.5)
    shown, out = Warned(), out_root / "one"
    with Experiment(tiny_config, out, "tiny", shown).opened() as opened:
        opened.sink.metrics({"objective/learned": 0.25}, step=3)
    assert shown.lines == [f"3 records wait for MLflow (OSError), deliver them with: metabalance sync {out}"]


def test_an_error_of_the_experiment_is_not_hidden_by_one_of_the_store(
    tiny_config: ExperimentConfig, out_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.5)
    with pytest.raises(StopError):
        log_and_fail(experiment_in(tiny_config, out_root))


def test_what_the_store_refuses_is_passed_over_and_named(out_root: Path) -> None:
    with tracker_of(out_root) as tracker, tracker.run("lower", "lower") as run:
        run.metrics({"good": 1.0}, 1)
        run.metrics({"not; a name": 1.0}, 2)
        run.metrics({"good": 3.0}, 3)
    journal = out_root / "one" / "journal.jsonl"
    assert tracker.synced == Synced(n_delivered=5, n_refused=1, first_refused=f"{journal} line 4")
    (stored,) = runs_of(out_root)
    assert (stored.data.metrics, stored.info.status) == ({"good": 3.0}, "FINISHED")
    assert "not; a name" in journal.read_text().splitlines()[3]


def test_nothing_is_written_when_tracking_is_off(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    with experiment_in(untracked_config, tmp_path).opened():
        pass
    assert not list(tmp_path.iterdir())
