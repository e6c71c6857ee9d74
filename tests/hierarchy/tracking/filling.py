"""An experiment that does nothing but hand figures to its sink, here or as a process, and what MLflow holds of it."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from mlflow.entities import Run as StoredRun
from mlflow.entities import ViewType

from hierarchy.tracking.cursor import Cursor
from hierarchy.tracking.history import read
from hierarchy.tracking.mlflow_runs import KEY_TAG
from hierarchy.tracking.mlflow_store import open_store
from hierarchy.tracking.records import Begin, End, Metrics
from hierarchy.tracking.sinks import Sink
from hierarchy.tracking.tracked import Tracker

EXPERIMENT = "metabalance"
ARMS = ("sed", "lsq", "learned")
Point = tuple[str, int, str]
"""Metric, step and value of a point, such that two that are no numbers are the same."""


def value(step: int) -> float:
    """Of a step, now and then none or beyond all."""
    return math.nan if step % 50 == 7 else step / 7


def log_steps(sink: Sink, steps: range) -> None:
    for step in steps:
        sink.metrics({"a": value(step), "b": -step / 3}, step)


def fill(folder: Path, n_steps: int) -> Tracker:
    """A phase with so many steps, some arms, a file; as experiments leave them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text("{}")
    tracker = Tracker(folder, EXPERIMENT, {"out": str(folder.resolve())})
    with tracker, tracker.run("experiment", folder.name, parameters={"a": "1"}) as top:
        with top.run("lower", "lower") as lower:
            log_steps(lower, range(n_steps))
        for name in ARMS:
            with top.run("arm", name, parameters={"context/a": "0.5"}) as arm:
                arm.metrics({"objective": 1.0})
        top.describe("text")
        top.artifact(folder / "results.json")
    return tracker


def handed(folder: Path) -> dict[str, Counter[Point]]:
    """All points that a journal was handed, by run."""
    found: dict[str, Counter[Point]] = {}
    for placed in read(folder / "journal.jsonl", 0, 1_000_000):
        if isinstance(placed.record, Begin):
            found[placed.record.run] = Counter()
        elif isinstance(placed.record, Metrics):
            found[placed.record.run].update(
                (name, placed.record.step, repr(one)) for name, one in placed.record.values.items()
            )
    return found


def stored(uri: str, experiment: str = EXPERIMENT) -> dict[str, Counter[Point]]:
    """All points that MLflow holds, by the key of their run; one that is there twice, or was and is deleted, is an error."""
    client, found = open_store(uri), {}
    for run in runs_in(uri, experiment, ViewType.ALL):
        key = run.data.tags[KEY_TAG]
        assert key not in found, "a run is there twice"
        found[key] = Counter(
            (name, point.step, repr(point.value))
            for name in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, name)
        )
    return found


def runs_in(uri: str, experiment: str = EXPERIMENT, view: int = ViewType.ACTIVE_ONLY) -> list[StoredRun]:
    client = open_store(uri)
    there = client.get_experiment_by_name(experiment)
    return [] if there is None else list(client.search_runs([there.experiment_id], "", view, 1000))


def assert_whole(folder: Path, uri: str) -> None:
    """Everything that was handed over is there, once, and every run has ended as it did."""
    expected, found = handed(folder), stored(uri)
    assert {key: found.get(key) for key in expected} == expected
    ends = {
        one.record.run: one.record.status for one in read(folder / "journal.jsonl", 0, 10**6) if isinstance(one.record, End)
    }
    status = {run.data.tags[KEY_TAG]: run.info.status for run in runs_in(uri)}
    assert {key: status[key] for key in expected} == {key: ends[key] for key in expected}
    top = next(run for run in runs_in(uri) if run.data.tags[KEY_TAG] in expected and run.data.tags["level"] == "experiment")
    assert (top.data.params, top.data.tags["mlflow.note.content"]) == ({"a": "1"}, "text")
    assert [file.path for file in open_store(uri).list_artifacts(top.info.run_id)] == ["results.json"]
    children = [run for run in runs_in(uri) if run.data.tags.get("mlflow.parentRunId") == top.info.run_id]
    assert len(children) == len(expected) - 1


def kill_at_note(number: int) -> None:
    """Kill this process when it is about to note for that time what was delivered."""
    save, n_notes = Cursor.save, 0

    def note(self: Cursor, folder: Path) -> None:
        nonlocal n_notes
        n_notes += 1
        if n_notes == number:
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, folder)

    Cursor.save = note  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) > 3:
        kill_at_note(int(sys.argv[3]))
    filled = fill(Path(sys.argv[1]), int(sys.argv[2]))
    print(filled.synced.n_waiting)
