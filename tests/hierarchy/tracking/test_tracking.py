"""What an experiment leaves in MLflow, read back from a real store."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as StoredRun

from hierarchy import experiment as experiments
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.tracking import mlflow as tracking
from hierarchy.tracking.mlflow import (
    OUT_TAG,
    VIEW_TAG,
    Tracker,
    artifact_root,
    latest_view,
    open_store,
    parameters,
    store_uri,
    view_address,
)
from hierarchy.tracking.progress import Silent
from tests.hierarchy.episodes import PICTURES


def runs_of(root: Path, query: str = "", name: str = "metabalance") -> list[StoredRun]:
    client = open_store(store_uri(root))
    found = client.get_experiment_by_name(name)
    return [] if found is None else list(client.search_runs([found.experiment_id], query, max_results=1000))


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


# One experiment.


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


def test_the_commit_is_that_of_the_checkout() -> None:
    command = ["git", "-C", str(Path(tracking.__file__).parent), "log", "-1", "--format=%H"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tracking.git_commit() == (asked.stdout.strip() if asked.returncode == 0 else "unknown")


def test_outside_a_checkout_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tracking, "__file__", str(tmp_path / "tracking.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert tracking.git_commit() == "unknown"


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    out: dict[str, str] = {}
    for key, value in tree.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": str(value)}
    return out


def test_every_setting_is_a_parameter(parent: StoredRun, trained: Any) -> None:
    expected = flat(dataclasses.asdict(trained.config))
    assert parent.data.params == expected
    assert expected["env.pool.boot_s"] == "0.5"
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


def test_an_arm_of_the_hierarchy_logs_its_mean_context(runs: dict[str, StoredRun], trained: Any) -> None:
    context = trained.results["arms"]["learned"]["context"]
    assert {f"context/{name}": weight for name, weight in context.items()}.items() <= runs["learned"].data.metrics.items()
    assert not [name for name in runs["sed"].data.metrics if name.startswith("context/")]


def test_the_experiment_holds_all_final_figures(parent: StoredRun, trained: Any) -> None:
    for name, arm in trained.results["arms"].items():
        expected = None if arm is None else arm["objective"]["mean"]
        assert parent.data.metrics.get(f"objective/{name}") == expected
    for phase, seconds in trained.results["timings_s"].items():
        assert parent.data.metrics[f"timings_s/{phase}"] == seconds


def test_the_experiment_shows_the_table_of_arms(parent: StoredRun, trained: Any) -> None:
    note = parent.data.tags["mlflow.note.content"]
    assert all(f"| {name} |" in note for name, arm in trained.results["arms"].items() if arm is not None)


@pytest.mark.parametrize("name", ["reward/fairness", "reward/latency", "reward/cost", "lower/steps_per_s"])
def test_phase_one_has_a_history_over_env_steps(
    client: MlflowClient, runs: dict[str, StoredRun], trained: Any, name: str
) -> None:
    lower = trained.config.lower
    history = sorted(client.get_metric_history(runs["lower"].info.run_id, name), key=lambda metric: metric.step)
    rollout = lower.n_envs * lower.n_steps
    assert [metric.step for metric in history] == list(range(rollout, lower.timesteps + 1, rollout))
    assert all(metric.value > 0 for metric in history)
    if name.startswith("reward/"):
        assert all(metric.value <= 1 for metric in history)


def test_phase_one_says_what_ppo_says(runs: dict[str, StoredRun]) -> None:
    needed = {"lower/loss", "lower/value_loss", "lower/approx_kl", "lower/explained_variance"}
    assert needed <= runs["lower"].data.metrics.keys()


@pytest.mark.parametrize("name", ["upper/objective", "context/latency"])
def test_the_step_of_an_upper_metric_is_the_meta_step(
    client: MlflowClient, runs: dict[str, StoredRun], trained: Any, name: str
) -> None:
    upper = trained.config.upper
    history = client.get_metric_history(runs["upper"].info.run_id, name)
    assert sorted(metric.step for metric in history) == list(range(upper.n_envs, upper.meta_steps + 1, upper.n_envs))


def test_contexts_of_phase_two_are_on_the_simplex(client: MlflowClient, runs: dict[str, StoredRun]) -> None:
    run_id = runs["upper"].info.run_id
    totals: dict[int, float] = {}
    for name in ("fairness", "latency", "cost"):
        for metric in client.get_metric_history(run_id, f"context/{name}"):
            totals[metric.step] = totals.get(metric.step, 0.0) + metric.value
    assert len(totals) > 1
    assert list(totals.values()) == pytest.approx([1.0] * len(totals), abs=1e-6)


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


def test_arms_can_be_ranked_by_the_store(client: MlflowClient, trained: Any) -> None:
    found = client.get_experiment_by_name("metabalance")
    assert found is not None
    ranked = client.search_runs([found.experiment_id], "tags.level = 'arm'", order_by=["metrics.`objective` DESC"])
    arms = {name: arm["objective"]["mean"] for name, arm in trained.results["arms"].items() if arm is not None}
    assert [arms[run.data.tags["arm"]] for run in ranked] == sorted(arms.values(), reverse=True)


def test_a_view_of_its_arms_by_objective_is_kept_with_the_experiment(
    client: MlflowClient, parent: StoredRun, trained: Any
) -> None:
    found = client.get_experiment(parent.info.experiment_id)
    assert latest_view(client, found.experiment_id) == parent.info.run_id
    view = json.loads(found.tags[VIEW_TAG + parent.info.run_id])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`objective`", False)
    shown = client.search_runs([found.experiment_id], view["searchFilter"])
    assert {run.data.tags["arm"] for run in shown} == {name for name, arm in trained.results["arms"].items() if arm}
    (ours,) = [run for run in shown if run.data.tags["arm"] == "learned"]
    values = {"metrics": ours.data.metrics, "params": ours.data.params}
    for column in view["selectedColumns"]:
        kind, name = column.split(".", 1)
        assert name.strip("`") in values[kind], column


def test_the_address_of_a_view_names_its_experiment_and_its_key() -> None:
    address = view_address("http://127.0.0.1:5000", "7", "a b")
    assert address == "http://127.0.0.1:5000/#/experiments/7/runs?viewStateShareKey=a%20b"


def test_without_a_comparison_there_is_no_view(tiny_config: ExperimentConfig, out_root: Path) -> None:
    with opened(tiny_config, out_root).open():
        pass
    store = open_store(store_uri(out_root))
    found = store.get_experiment_by_name("metabalance")
    assert found is not None
    assert latest_view(store, found.experiment_id) is None


# How runs end.


def opened(config: ExperimentConfig, root: Path, name: str = "one") -> Experiment:
    return Experiment(config, root / name, "tiny", Silent())


class StopError(Exception):
    """Something went wrong in an experiment."""


@pytest.mark.parametrize(("error", "status"), [(StopError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "FAILED")])
def test_an_error_ends_all_open_runs(
    tiny_config: ExperimentConfig, out_root: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], status: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(experiments.lower, "build", fail)
    with pytest.raises(error):
        experiments.train(opened(tiny_config, out_root))
    assert {run.data.tags["level"]: run.info.status for run in runs_of(out_root)} == {"experiment": status, "lower": status}


def log_and_fail(experiment: Experiment) -> None:
    with experiment.open():
        assert experiment._parent is not None
        experiment._parent.metrics({"objective/learned": 0.25}, step=3)
        raise StopError


def test_what_was_logged_before_an_error_is_kept(tiny_config: ExperimentConfig, out_root: Path) -> None:
    with pytest.raises(StopError):
        log_and_fail(opened(tiny_config, out_root))
    (run,) = runs_of(out_root)
    assert (run.info.status, run.data.metrics) == ("FAILED", {"objective/learned": 0.25})
    assert run.data.params == parameters(tiny_config)


def left_running(root: Path, out: Path) -> str:
    """A run as a kill leaves it; its id."""
    client = open_store(store_uri(root))
    found = client.get_experiment_by_name("metabalance")
    experiment_id = found.experiment_id if found else client.create_experiment("metabalance", artifact_root(root))
    return str(client.create_run(experiment_id, tags={OUT_TAG: str(out.resolve()), "level": "lower"}).info.run_id)


def test_a_run_left_running_is_closed_when_its_folder_is_opened_again(tiny_config: ExperimentConfig, out_root: Path) -> None:
    ours, theirs = left_running(out_root, out_root / "one"), left_running(out_root, out_root / "two")
    with opened(tiny_config, out_root).open():
        pass
    status = {run.info.run_id: run.info.status for run in runs_of(out_root)}
    assert (status.pop(ours), status.pop(theirs)) == ("KILLED", "RUNNING")
    assert list(status.values()) == ["FINISHED"]


@pytest.mark.parametrize("name", ["it's", 'say "so"', "100 %", "a,b;c"])
def test_any_name_of_a_folder_will_do(tiny_config: ExperimentConfig, out_root: Path, name: str) -> None:
    abandoned = left_running(out_root, out_root / name)
    with opened(tiny_config, out_root, name).open():
        pass
    status = {run.info.run_id: run.info.status for run in runs_of(out_root)}
    assert status.pop(abandoned) == "KILLED"
    assert list(status.values()) == ["FINISHED"]


def tracker_of(root: Path) -> Tracker:
    return Tracker(store_uri(root), artifact_root(root), "metabalance", {})


def test_ending_twice_keeps_the_first_status(out_root: Path) -> None:
    with tracker_of(out_root) as tracker:
        run = tracker.run("lower", "lower")
        run.end("KILLED")
        run.end("FINISHED")
    assert [run.info.status for run in runs_of(out_root)] == ["KILLED"]


# Writing.


def log(root: Path, n_steps: int) -> None:
    """One run with two metrics at every step."""
    with tracker_of(root) as tracker, tracker.run("lower", "lower") as run:
        run.parameters({"a": "1"})
        for step in range(n_steps):
            run.metrics({"reward/latency": step / n_steps, "reward/cost": 0.0}, step)


def test_more_metrics_than_fit_one_request_all_arrive_with_their_steps(out_root: Path) -> None:
    log(out_root, tracking.BATCH + 7)
    (stored,) = runs_of(out_root)
    history = open_store(store_uri(out_root)).get_metric_history(stored.info.run_id, "reward/latency")
    n_steps = tracking.BATCH + 7
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
    assert len(requests) == 3
    assert max(requests) <= 1000


def refuse(*_: object, **__: object) -> None:
    raise OSError("disk full")


def test_a_failed_write_is_not_silent(out_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    with pytest.raises(OSError, match="disk full"):
        log(out_root, 1)


def test_an_error_of_the_experiment_is_not_hidden_by_one_of_the_store(
    tiny_config: ExperimentConfig, out_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MlflowClient, "log_batch", refuse)
    with pytest.raises(StopError):
        log_and_fail(opened(tiny_config, out_root))


def test_nothing_is_written_when_tracking_is_off(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    with opened(untracked_config, tmp_path).open():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["config.json"]


def test_another_store_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store_uri(tmp_path) == f"sqlite:///{tmp_path.resolve() / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    assert store_uri(tmp_path) == "http://elsewhere:5000"


def test_experiments_are_kept_apart_by_name(tiny_config: ExperimentConfig, out_root: Path) -> None:
    for name in ("a", "b"):
        tracked = dataclasses.replace(tiny_config.tracking, experiment=name)
        with opened(dataclasses.replace(tiny_config, tracking=tracked), out_root, name).open():
            pass
    assert [len(runs_of(out_root, name=name)) for name in ("a", "b", "metabalance")] == [1, 1, 0]
