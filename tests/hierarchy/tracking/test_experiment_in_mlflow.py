"""What an experiment leaves in MLflow, read back from a real store."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun

from hierarchy.config import ExperimentConfig
from hierarchy.tracking.mlflow_store import KIND, KIND_TAG
from hierarchy.tracking.publishing import parameters
from tests.hierarchy.episodes import PICTURES
from tests.hierarchy.tracking.stored import runs_of


def test_there_is_a_run_for_the_experiment_each_phase_and_each_arm(runs: dict[str, StoredRun], trained: Any) -> None:
    arms = [name for name, arm in trained.results["arms"].items() if arm is not None]
    assert sorted(runs) == sorted(["experiment", "lower", "upper", *arms])
    assert len(runs_of(trained.out.parent)) == len(runs)


def test_all_other_runs_are_children_of_the_experiment(runs: dict[str, StoredRun], parent: StoredRun) -> None:
    assert "mlflow.parentRunId" not in parent.data.tags
    children = [run for run in runs.values() if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


def test_runs_are_tagged_with_level_and_arm(runs: dict[str, StoredRun]) -> None:
    for name, run in runs.items():
        level = name if name in ("experiment", "lower", "upper") else "arm"
        assert run.data.tags["level"] == level
        assert run.data.tags.get("arm") == (name if level == "arm" else None)


def test_every_run_says_where_it_is_from(runs: dict[str, StoredRun], trained: Any) -> None:
    for run in runs.values():
        tags = run.data.tags
        assert (tags["seed"], tags["preset"], tags["env_family"]) == ("0", "tiny", "load_balancing")
        assert tags["out"] == str(trained.out.resolve())
        assert re.fullmatch("[0-9a-f]{40}|unknown", tags["git_commit"])


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    out: dict[str, str] = {}
    for key, value in tree.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": str(value)}
    return out


def test_every_setting_is_a_parameter(parent: StoredRun, trained: Any) -> None:
    expected = flat(dataclasses.asdict(trained.config))
    assert parent.data.params == expected
    assert expected["env.pool.boot_s"] == "15.0"
    assert len(expected) > 60


def test_parameters_are_those_of_the_settings_whatever_they_are(tiny_config: ExperimentConfig) -> None:
    changed = dataclasses.replace(tiny_config, upper=dataclasses.replace(tiny_config.upper, tau=0.25))
    one, other = parameters(tiny_config), parameters(changed)
    assert {name for name in one if one[name] != other[name]} == {"upper.tau"}


def test_an_arm_logs_its_figure_as_objective(runs: dict[str, StoredRun], trained: Any) -> None:
    for name, arm in trained.results["arms"].items():
        if arm is None:
            continue
        metrics = runs[name].data.metrics
        assert metrics["objective"] == arm["objective"]["mean"]
        assert [metrics["objective_ci95_low"], metrics["objective_ci95_high"]] == arm["objective"]["ci95"]
        assert arm["metrics"].items() <= metrics.items()


def test_an_arm_of_the_hierarchy_has_its_mean_context_as_parameters_alone(runs: dict[str, StoredRun], trained: Any) -> None:
    context = trained.results["arms"]["learned"]["context"]
    stored = {name: float(value) for name, value in runs["learned"].data.params.items()}
    assert stored == pytest.approx({f"context/{name}": weight for name, weight in context.items()}, abs=5e-4)
    assert not runs["sed"].data.params
    assert not [name for run in (runs["learned"], runs["sed"]) for name in run.data.metrics if name.startswith("context/")]


def test_the_experiment_holds_all_final_figures(parent: StoredRun, trained: Any) -> None:
    for name, arm in trained.results["arms"].items():
        expected = None if arm is None else arm["objective"]["mean"]
        assert parent.data.metrics.get(f"objective/{name}") == expected
    for phase, seconds in trained.results["timings_s"].items():
        assert parent.data.metrics[f"timings_s/{phase}"] == seconds


def test_the_experiment_shows_the_table_of_arms(parent: StoredRun, trained: Any) -> None:
    note = parent.data.tags["mlflow.note.content"]
    assert all(f"| {name} |" in note for name, arm in trained.results["arms"].items() if arm is not None)


def test_results_settings_and_pictures_are_kept_with_the_experiment(
    client: MlflowClient, parent: StoredRun, trained: Any, tmp_path: Path
) -> None:
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert kept == {"results.json", "config.json"} | PICTURES
    path = client.download_artifacts(parent.info.run_id, "results.json", str(tmp_path))
    assert json.loads(Path(path).read_text()) == json.loads(json.dumps(trained.results))


def test_all_runs_are_finished(runs: dict[str, StoredRun]) -> None:
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert all(run.info.end_time >= run.info.start_time for run in runs.values())


def test_the_experiment_is_marked_as_model_training(client: MlflowClient, parent: StoredRun) -> None:
    assert client.get_experiment(parent.info.experiment_id).tags[KIND_TAG] == KIND
