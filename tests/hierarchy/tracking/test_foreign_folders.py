"""A folder may come from anywhere: its journal is data, and no file outside of the folder is ever sent."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hierarchy.tracking.mlflow_store import open_store, store_uri
from hierarchy.tracking.syncing import sync
from tests.hierarchy.tracking.filling import EXPERIMENT, runs_in

KEY = "0123456789abcdef" * 2
SECRET = "root:x:0:0"


def journal_of(folder: Path, *records: dict[str, object], above: int = 1) -> None:
    """A journal that begins a run."""
    begin = {"level": "arm", "name": "a", "parent": None, "parameters": {}, "tags": {"out": "/elsewhere"}, "time_ms": 11}
    first = [
        {"record": "session", "experiment": EXPERIMENT, "above": above, "time_ms": 10},
        {"record": "begin", "run": KEY, **begin},
    ]
    folder.mkdir(exist_ok=True)
    (folder / "journal.jsonl").write_text("".join(json.dumps(record) + "\n" for record in (*first, *records)))


def artifact(path: str, copy: str) -> dict[str, object]:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    return {"record": "artifact", "run": KEY, "path": path, "copy": copy, "sha256": digest}


@pytest.mark.parametrize("name", ["linked", "folder/passwd", "undelivered/passwd"])
def test_no_link_leads_out_of_the_folder(out_root: Path, name: str) -> None:
    outside, folder = out_root / "etc", out_root / "hostile"
    outside.mkdir()
    (outside / "passwd").write_text(SECRET)
    journal_of(folder, artifact(name, name))
    (folder / "linked").symlink_to(outside / "passwd")
    (folder / "folder").symlink_to(outside)
    (folder / "undelivered").symlink_to(outside)
    assert sync(folder).n_refused == 1
    (run,) = runs_in(store_uri(out_root))
    assert open_store(store_uri(out_root)).list_artifacts(run.info.run_id) == []
    assert (outside / "passwd").read_text() == SECRET


def test_a_link_that_stays_inside_is_followed(out_root: Path) -> None:
    folder = out_root / "fine"
    journal_of(folder, artifact("linked", "gone/linked"))
    (folder / "there").write_text(SECRET)
    (folder / "linked").symlink_to(folder / "there")
    assert sync(folder).n_refused == 0


def test_a_file_that_has_changed_is_not_the_one_that_was_meant(out_root: Path) -> None:
    folder = out_root / "changed"
    journal_of(folder, artifact("file.txt", "undelivered/1/file.txt"))
    (folder / "file.txt").write_text("another")
    assert sync(folder).n_refused == 1


def test_runs_of_other_folders_stay_open(out_root: Path) -> None:
    """A journal says what its runs are tagged with, not whose runs have been abandoned."""
    client = open_store(store_uri(out_root))
    experiment_id = client.create_experiment(EXPERIMENT, (out_root / "artifacts").as_uri())
    theirs = client.create_run(experiment_id, 1, {"out": "/elsewhere"})
    mine = client.create_run(experiment_id, 1, {"out": str((out_root / "hostile").resolve())})
    journal_of(out_root / "hostile")
    assert sync(out_root / "hostile").n_delivered == 2
    assert client.get_run(theirs.info.run_id).info.status == "RUNNING"
    assert client.get_run(mine.info.run_id).info.status == "KILLED"


def test_a_note_that_points_to_the_run_of_another_key_is_not_believed(out_root: Path) -> None:
    client = open_store(store_uri(out_root))
    experiment_id = client.create_experiment(EXPERIMENT, (out_root / "artifacts").as_uri())
    theirs = client.create_run(experiment_id, 0).info.run_id
    metrics = {"record": "metrics", "run": KEY, "step": 1, "values": {"a": 1.0}, "time_ms": 3}
    folder = out_root / "hostile"
    journal_of(folder, metrics)
    lines = (folder / "journal.jsonl").read_text().splitlines(keepends=True)
    note = {"session": 0, "delivered": len("".join(lines[:2])), "runs": {KEY: theirs}, "n_refused": 0, "first_refused": 0}
    (folder / "delivered.json").write_text(json.dumps(note))
    assert sync(folder).n_waiting == 0
    assert client.get_run(theirs).data.metrics == {}
    (ours,) = [run for run in runs_in(store_uri(out_root)) if run.info.run_id != theirs]
    assert ours.data.metrics == {"a": 1.0}
