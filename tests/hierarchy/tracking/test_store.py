"""Which store experiments are kept in, and what an MLflow experiment is marked as."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hierarchy.config import ExperimentConfig
from hierarchy.tracking.mlflow_store import KIND, KIND_TAG, open_experiment, open_store, store_uri
from tests.hierarchy.tracking.stored import experiment_in, runs_of


def test_another_store_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_uri(tmp_path) == f"sqlite:///{tmp_path.resolve() / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    assert store_uri(tmp_path) == "http://elsewhere:5000"


def test_experiments_are_kept_apart_by_name(tiny_config: ExperimentConfig, out_root: Path) -> None:
    for name in ("a", "b"):
        tracked = dataclasses.replace(tiny_config.tracking, experiment=name)
        with experiment_in(dataclasses.replace(tiny_config, tracking=tracked), out_root, name).open():
            pass
    assert [len(runs_of(out_root, name=name)) for name in ("a", "b", "metabalance")] == [1, 1, 0]


def test_an_experiment_is_marked_as_model_training_when_it_is_made(out_root: Path) -> None:
    store = open_store(store_uri(out_root))
    made = open_experiment(store, "metabalance", None)
    assert store.get_experiment(made).tags[KIND_TAG] == KIND
    assert open_experiment(store, "metabalance", None) == made


def test_one_that_has_no_mark_gets_it_and_one_that_has_keeps_its_own(out_root: Path) -> None:
    store = open_store(store_uri(out_root))
    plain, marked = store.create_experiment("plain"), store.create_experiment("marked", tags={KIND_TAG: "regression"})
    assert [open_experiment(store, name, None) for name in ("plain", "marked")] == [plain, marked]
    assert [store.get_experiment(one).tags[KIND_TAG] for one in (plain, marked)] == [KIND, "regression"]
