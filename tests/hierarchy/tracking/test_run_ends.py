"""How runs end: by themselves, by an error, by a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierarchy import experiment as experiments
from hierarchy.config import ExperimentConfig
from hierarchy.sb3.learner import SB3Learner
from hierarchy.tracking.journal import Journal
from hierarchy.tracking.mlflow_runs import OUT_TAG
from hierarchy.tracking.mlflow_store import artifact_root, open_store, store_uri
from hierarchy.tracking.publishing import parameters
from hierarchy.tracking.syncing import sync
from hierarchy.tracking.tracked import Tracker
from tests.hierarchy.tracking.stored import StopError, experiment_in, log_and_fail, runs_of, tracker_of


@pytest.mark.parametrize(("error", "status"), [(StopError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "FAILED")])
def test_an_error_ends_all_open_runs(
    tiny_config: ExperimentConfig, out_root: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException], status: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SB3Learner, "learn", fail)
    with pytest.raises(error):
        experiments.train(experiment_in(tiny_config, out_root))
    assert {run.data.tags["level"]: run.info.status for run in runs_of(out_root)} == {"experiment": status, "lower": status}


def test_what_was_logged_before_an_error_is_kept(tiny_config: ExperimentConfig, out_root: Path) -> None:
    with pytest.raises(StopError):
        log_and_fail(experiment_in(tiny_config, out_root))
    (run,) = runs_of(out_root)
    assert (run.info.status, run.data.metrics) == ("FAILED", {"objective/learned": 0.25})
    assert run.data.params == parameters(tiny_config)


def left_running(root: Path, out: Path) -> str:
    """A run as a kill leaves it; its id."""
    client = open_store(store_uri(root))
    stored = client.get_experiment_by_name("metabalance")
    experiment_id = stored.experiment_id if stored else client.create_experiment("metabalance", artifact_root(root))
    return str(client.create_run(experiment_id, tags={OUT_TAG: str(out.resolve()), "level": "lower"}).info.run_id)


def test_a_run_left_running_is_closed_when_its_folder_is_opened_again(tiny_config: ExperimentConfig, out_root: Path) -> None:
    ours, theirs = left_running(out_root, out_root / "one"), left_running(out_root, out_root / "two")
    with experiment_in(tiny_config, out_root).opened():
        pass
    status = {run.info.run_id: run.info.status for run in runs_of(out_root)}
    assert (status.pop(ours), status.pop(theirs)) == ("KILLED", "RUNNING")
    assert list(status.values()) == ["FINISHED"]


@pytest.mark.parametrize("name", ["it's", 'say "so"', "100 %", "a,b;c"])
def test_any_name_of_a_folder_will_do(tiny_config: ExperimentConfig, out_root: Path, name: str) -> None:
    abandoned = left_running(out_root, out_root / name)
    with experiment_in(tiny_config, out_root, name).opened():
        pass
    status = {run.info.run_id: run.info.status for run in runs_of(out_root)}
    assert status.pop(abandoned) == "KILLED"
    assert list(status.values()) == ["FINISHED"]


def test_ending_twice_keeps_the_first_status(out_root: Path) -> None:
    with tracker_of(out_root) as tracker:
        run = tracker.run("lower", "lower")
        run.end("KILLED")
        run.end("FINISHED")
    assert [run.info.status for run in runs_of(out_root)] == ["KILLED"]


def test_a_resumed_experiment_is_one_run_that_goes_on(out_root: Path) -> None:
    for resumed, steps in ((False, range(3)), (True, range(1, 6))):
        tracker = Tracker(out_root / "one", "metabalance", {}, resumed=resumed)
        with tracker, tracker.run("experiment", "one", parameters={"a": "1"}) as run:
            for step in steps:
                run.metrics({"a": step / 7}, step)
            run.end("FINISHED" if resumed else "KILLED")
    (stored,) = runs_of(out_root)
    assert stored.info.status == "FINISHED"
    history = open_store(store_uri(out_root)).get_metric_history(stored.info.run_id, "a")
    assert [(point.step, point.value) for point in history] == [(step, step / 7) for step in range(6)]


def test_a_session_that_is_sent_again_ends_none_of_its_runs(out_root: Path) -> None:
    folder = out_root / "one"
    journal = Journal.open(folder, "metabalance")
    journal.begin("experiment", "one", None, {}, {OUT_TAG: str(folder.resolve())})
    journal.close()
    for _ in range(2):
        assert sync(folder).n_delivered == 2
        assert [run.info.status for run in runs_of(out_root)] == ["RUNNING"]
        (folder / "delivered.json").unlink()
