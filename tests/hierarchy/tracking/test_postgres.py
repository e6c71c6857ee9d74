"""A tracking server on PostgreSQL that is killed at any time: every point is there afterwards, once, and no run twice."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hierarchy.storage.bundle import bundled, read_bundle
from hierarchy.tracking.mlflow_models import NAME
from hierarchy.tracking.mlflow_runs import PARENT_TAG
from hierarchy.tracking.mlflow_store import KEY_TAG, STORE_VARIABLE, open_store
from hierarchy.tracking.registry import fetched
from hierarchy.tracking.syncing import sync
from hierarchy.tracking.tracked import Tracker
from tests.conftest import Trained
from tests.docs.pages import ROOT
from tests.hierarchy.tracking import filling
from tests.hierarchy.tracking.filling import assert_whole, fill, handed, log_steps, runs_in, stored
from tests.hierarchy.tracking.servers import PASSWORD, Cutter, MlflowServer, Postgres, running_postgres, wait_for

pytestmark = pytest.mark.slow
N_STEPS = 600


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def server(postgres: Postgres) -> Iterator[MlflowServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = MlflowServer(Path(folder), postgres.uri)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def folder(server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder whose figures go to the server."""
    monkeypatch.setenv(STORE_VARIABLE, server.uri)
    return tmp_path / "one"


def assert_no_password(printed: str, folder: Path) -> None:
    assert PASSWORD not in printed
    for path in folder.rglob("*"):
        assert path.is_dir() or PASSWORD not in path.read_text(errors="replace"), path


def in_thirds(folder: Path, stop: Callable[[], None], start: Callable[[], None]) -> Tracker:
    """A run of which the middle third is handed over while the store is away."""
    folder.mkdir()
    tracker = Tracker(folder, "metabalance", {})
    with tracker, tracker.run("experiment", "one") as top, top.run("lower", "lower") as lower:
        log_steps(lower, range(N_STEPS))
        wait_for(lambda: tracker.synced.n_waiting == 0)
        log_steps(lower, range(N_STEPS, N_STEPS + 300))
        stop()
        log_steps(lower, range(N_STEPS + 300, 2 * N_STEPS))
        wait_for(lambda: tracker.synced.failure != "")
        with top.run("arm", "sed") as arm:
            arm.metrics({"objective": 1.0})
        start()
        log_steps(lower, range(2 * N_STEPS, 3 * N_STEPS))
    return tracker


def test_a_server_that_is_killed_in_the_middle_has_everything_once(
    server: MlflowServer, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = in_thirds(folder, server.kill, server.start)
    assert tracker.synced.n_waiting == 0
    found = stored(server.uri)
    assert {key: found[key] for key in handed(folder)} == handed(folder)
    assert sum(sum(points.values()) for points in handed(folder).values()) == 2 * 3 * N_STEPS + 1
    assert_no_password("".join(capfd.readouterr()), folder)


def test_a_database_that_is_killed_in_the_middle_has_everything_once(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a server between."""
    monkeypatch.setenv(STORE_VARIABLE, postgres.uri)
    monkeypatch.chdir(tmp_path)
    tracker = in_thirds(tmp_path / "one", postgres.kill, postgres.start)
    assert tracker.synced.n_waiting == 0
    found = stored(postgres.uri)
    assert {key: found[key] for key in handed(tmp_path / "one")} == handed(tmp_path / "one")
    assert_no_password("".join(capfd.readouterr()), tmp_path / "one")


REQUESTS = ("runs/create", "runs/log-batch", "runs/update", "runs/set-tag", "mlflow-artifacts")


@pytest.mark.parametrize("n_cuts", [1, 2])
def test_a_request_whose_answer_is_lost_takes_effect_once(
    server: MlflowServer, folder: Path, n_cuts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every kind of request the first is done by the server, and nobody hears of it."""
    left = dict.fromkeys(REQUESTS, n_cuts)

    def cut(line: str) -> bool:
        for kind in REQUESTS:
            if kind in line and not line.startswith("GET") and left[kind]:
                left[kind] -= 1
                return True
        return False

    cutter = Cutter(server.port, cut)
    monkeypatch.setenv(STORE_VARIABLE, f"http://127.0.0.1:{cutter.port}")
    tracker = fill(folder, N_STEPS)
    cutter.close()
    assert tracker.synced.n_waiting == 0
    assert set(left.values()) == {0}
    assert_whole(folder, server.uri)


def test_a_run_that_is_made_after_all_is_deleted(server: MlflowServer, folder: Path) -> None:
    """A server may do what it was asked once everybody has given up, and after another request for the same."""
    tracker = Tracker(folder, "doubles", {})
    with tracker, tracker.run("experiment", "one") as top:
        wait_for(lambda: tracker.synced.n_waiting == 0)
        client = open_store(server.uri)
        (first,) = runs_in(server.uri, "doubles")
        tags = {name: text for name, text in first.data.tags.items() if not name.startswith("mlflow.")}
        other = client.create_run(first.info.experiment_id, first.info.start_time, tags, "one")
        child = client.create_run(first.info.experiment_id, tags={PARENT_TAG: other.info.run_id})
        top.metrics({"a": 1.0}, 1)
    assert {run.info.run_id for run in runs_in(server.uri, "doubles")} == {first.info.run_id, child.info.run_id}
    assert client.get_run(child.info.run_id).data.tags[PARENT_TAG] == first.info.run_id


@pytest.mark.parametrize("note", [1, 2])
def test_a_process_that_is_killed_before_it_notes_what_was_delivered(server: MlflowServer, folder: Path, note: int) -> None:
    words = [sys.executable, "-m", filling.__name__, str(folder), str(3 * N_STEPS), str(note)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(words, env=environment, cwd=ROOT, check=False).returncode < 0
    assert sync(folder).n_waiting == 0
    found = stored(server.uri)
    assert {key: found[key] for key in handed(folder)} == handed(folder)


def test_experiments_that_begin_a_database_together_lose_nothing(postgres: Postgres, tmp_path: Path) -> None:
    postgres.create("fresh")
    uri = postgres.uri_of("fresh")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), STORE_VARIABLE: uri}
    folders = [tmp_path / str(n) for n in range(3)]
    processes = [
        subprocess.Popen([sys.executable, "-m", filling.__name__, str(folder), "50"], env=environment, cwd=tmp_path)
        for folder in folders
    ]
    for one in processes:
        assert one.wait(300) == 0
    for folder in folders:
        assert sync_to(uri, folder) == 0
    found = stored(uri)
    for folder in folders:
        assert {key: found[key] for key in handed(folder)} == handed(folder)


def sync_to(uri: str, folder: Path) -> int:
    """Records that wait after all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORE_VARIABLE, uri)
        return sync(folder).n_waiting


REGISTERING = ("logged-models ", "outputs", "registered-models/create", "model-versions/create", "mlflow-artifacts", "/tags")


def test_a_pair_is_registered_once_where_answers_are_lost(
    server: MlflowServer, folder: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every kind of request the first is done by the server, and nobody hears of it."""
    left = dict.fromkeys(REGISTERING, 1)

    def cut(line: str) -> bool:
        kind = next((kind for kind in REGISTERING if kind in line and not line.startswith("GET") and left[kind]), None)
        if kind is not None:
            left[kind] -= 1
        return kind is not None

    cutter = Cutter(server.port, cut)
    monkeypatch.setenv(STORE_VARIABLE, f"http://127.0.0.1:{cutter.port}")
    tracker = Tracker(folder, "metabalance", {})
    with tracker, tracker.run("experiment", "one") as run:
        run.model(bundled(trained.out, trained.config, run.key))
    cutter.close()
    assert (tracker.synced.n_waiting, tracker.synced.n_refused) == (0, 0)
    assert set(left.values()) == {0}
    client = open_store(server.uri)
    (version,) = client.search_model_versions(f"name = '{NAME}' and tags.`{KEY_TAG}` = '{run.key}'")
    (logged,) = client.search_logged_models([client.get_run(version.run_id).info.experiment_id])
    assert (str(logged.status), logged.source_run_id) == ("READY", version.run_id)
    monkeypatch.setenv(STORE_VARIABLE, server.uri)
    with fetched(f"models:/{NAME}/{version.version}", folder.parent) as bundle:
        assert read_bundle(bundle).run == run.key
