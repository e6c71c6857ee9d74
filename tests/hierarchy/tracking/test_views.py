"""Arms ranked by their objective, by the store and on the page that the printed address shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun

from hierarchy.config import ExperimentConfig
from hierarchy.tracking.mlflow_store import open_store, store_uri
from hierarchy.tracking.mlflow_views import VIEW_TAG, latest_view, view_address
from tests.hierarchy.tracking.stored import experiment_in


def test_arms_can_be_ranked_by_the_store(client: MlflowClient, trained: Any) -> None:
    stored = client.get_experiment_by_name("metabalance")
    assert stored is not None
    ranked = client.search_runs([stored.experiment_id], "tags.level = 'arm'", order_by=["metrics.`objective` DESC"])
    arms = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert [arms[run.data.tags["arm"]] for run in ranked] == sorted(arms.values(), reverse=True)


def test_a_view_of_its_arms_by_objective_is_kept_with_the_experiment(
    client: MlflowClient, parent: StoredRun, trained: Any
) -> None:
    stored = client.get_experiment(parent.info.experiment_id)
    assert latest_view(client, stored.experiment_id) == parent.info.run_id
    view = json.loads(stored.tags[VIEW_TAG + parent.info.run_id])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`objective`", False)
    shown = client.search_runs([stored.experiment_id], view["searchFilter"])
    assert {run.data.tags["arm"] for run in shown} == {name for name, arm in trained.results["arms"].items() if arm}
    (ours,) = [run for run in shown if run.data.tags["arm"] == "learned"]
    values = {"metrics": ours.data.metrics, "params": ours.data.params}
    for column in view["selectedColumns"]:
        kind, name = column.split(".", 1)
        assert name.strip("`") in values[kind], column


def test_the_address_of_a_view_names_its_experiment_and_its_key() -> None:
    address = view_address("http://127.0.0.1:5000", "7", "a b")
    assert address == "http://127.0.0.1:5000/#/experiments/7/runs?viewStateShareKey=a%20b&workflowType=machine_learning"


def test_without_a_comparison_there_is_no_view(tiny_config: ExperimentConfig, out_root: Path) -> None:
    with experiment_in(tiny_config, out_root).opened():
        pass
    store = open_store(store_uri(out_root))
    stored = store.get_experiment_by_name("metabalance")
    assert stored is not None
    assert latest_view(store, stored.experiment_id) is None
