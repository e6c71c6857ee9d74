"""Views of MLflow's runs page that are kept with an experiment: the address asks for one by its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from hierarchy.tracking.sinks import Shown

if TYPE_CHECKING:
    from mlflow import MlflowClient

VIEW_TAG = "mlflow.sharedViewState."
"""Tag of an MLflow experiment that holds the state of a view."""
WORKFLOW = "machine_learning"
"""Pages of MLflow 3 that know workflows are those of generative AI unless the address says this."""
RANKED = "metrics.`objective`"


def arms_view(parent: str, shown: Shown) -> str:
    """The state of MLflow's runs page that shows the arms below a parent run, best objective first, with more columns."""
    columns = [f"params.`{name}`" for name in shown.parameters] + [f"metrics.`{name}`" for name in shown.metrics]
    state = {
        "searchFilter": f"tags.level = 'arm' and tags.`mlflow.parentRunId` = '{parent}'",
        "orderByKey": RANKED,
        "orderByAsc": False,
        "selectedColumns": [RANKED, *columns],
    }
    return json.dumps(state)


def runs_address(base: str, experiment_id: str, **query: str) -> str:
    """The address of MLflow's runs page of an experiment, opened as that of model training."""
    return f"{base}/#/experiments/{experiment_id}/runs?{urlencode({**query, 'workflowType': WORKFLOW}, quote_via=quote)}"


def view_address(base: str, experiment_id: str, key: str) -> str:
    """The address of a shared view of the runs page."""
    return runs_address(base, experiment_id, viewStateShareKey=key)


def latest_address(client: MlflowClient, experiment: str, base: str) -> tuple[str, bool] | None:
    """The address of the latest view of arms, or of all runs and False before there is one; None without the experiment."""
    stored = client.get_experiment_by_name(experiment)
    if stored is None:
        return None
    view = latest_view(client, stored.experiment_id)
    if view is None:
        return runs_address(base, stored.experiment_id), False
    return view_address(base, stored.experiment_id, view), True


def latest_view(client: MlflowClient, experiment_id: str) -> str | None:
    """The key of the latest experiment whose arms can be viewed; None before any has been compared."""
    views = client.get_experiment(experiment_id).tags
    for run in client.search_runs([experiment_id], "tags.level = 'experiment'", order_by=["attributes.start_time DESC"]):
        if VIEW_TAG + run.info.run_id in views:
            return str(run.info.run_id)
    return None
