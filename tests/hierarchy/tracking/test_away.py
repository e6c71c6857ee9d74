"""The store is away, hangs, is locked or is not there yet: nobody waits for it, and nothing is lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hierarchy.tracking import shipper
from hierarchy.tracking.mlflow_store import STORE_VARIABLE, store_uri
from hierarchy.tracking.syncing import sync
from hierarchy.tracking.tracked import Tracker
from tests.docs.pages import ROOT
from tests.hierarchy.tracking import filling
from tests.hierarchy.tracking.filling import assert_whole, fill
from tests.hierarchy.tracking.servers import Silent, wait_for
from tests.runs.serving import free_port

N_STEPS = 300


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def process(folder: Path, *words: object) -> subprocess.Popen[str]:
    """The same as a process."""
    command = [sys.executable, "-m", filling.__name__, str(folder), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


# Servers.


def test_nobody_waits_for_a_server_that_never_answers(
    out_root: Path, silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that waited for an answer would never come back: the request of the thread is not answered either."""
    monkeypatch.setenv(STORE_VARIABLE, f"http://127.0.0.1:{silent.port}")
    monkeypatch.setattr(shipper, "PATIENCE_S", 1.0)
    tracker = Tracker(out_root / "one", "metabalance", {})
    spent_s = 0.0
    with tracker, tracker.run("experiment", "one") as top:
        wait_for(lambda: len(silent.taken) >= 2)  # one is asked whether it listens, the other something
        for step in range(3000):
            started_s = time.perf_counter()
            top.metrics({"a": 1.0, "b": 2.0}, step)
            if step % 300 == 0:
                with top.run("arm", f"{step}") as run:
                    run.describe("text")
            spent_s += time.perf_counter() - started_s
        ending_s = time.perf_counter()
    assert spent_s < 3.0
    assert time.perf_counter() - ending_s < 15.0
    assert tracker.synced.n_waiting == 3 + 3000 + 10 * 3


def test_without_a_server_figures_wait_until_there_is_one(out_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.5)
    monkeypatch.setenv(STORE_VARIABLE, f"http://127.0.0.1:{free_port()}")
    folder = out_root / "one"
    synced = fill(folder, N_STEPS).synced
    assert (synced.n_delivered, synced.failure) == (0, "no connection")
    assert sync(folder).n_waiting == synced.n_waiting
    monkeypatch.delenv(STORE_VARIABLE)
    assert sync(folder).n_delivered == synced.n_waiting
    assert_whole(folder, store_uri(out_root))
    assert sync(folder).n_delivered == 0
    assert_whole(folder, store_uri(out_root))


# SQLite.


def locked(root: Path) -> sqlite3.Connection:
    """A writer that is at work in the store."""
    connection = sqlite3.connect(root / "mlflow.db", isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_store_that_another_writer_holds_gets_all_in_the_end(out_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.5)
    monkeypatch.setattr("hierarchy.tracking.answering.ANSWER_S", 0.2)
    folder = out_root / "one"
    with closing(locked(out_root)):
        synced = fill(folder, N_STEPS).synced
        assert (synced.n_delivered, synced.failure) == (0, "OperationalError")
    assert sync(folder).n_waiting == 0
    assert_whole(folder, store_uri(out_root))


def test_a_writer_that_comes_and_goes_is_waited_for(out_root: Path) -> None:
    other = locked(out_root)
    threading.Timer(4.0, other.close).start()
    assert fill(out_root / "one", N_STEPS).synced.n_waiting == 0
    assert_whole(out_root / "one", store_uri(out_root))


@pytest.mark.slow
def test_four_experiments_begin_a_store_together_and_lose_nothing(tmp_path: Path) -> None:
    """Whoever comes first makes its tables, which takes seconds; all write to it then."""
    folders = [tmp_path / str(n) for n in range(4)]
    processes = [process(folder, N_STEPS) for folder in folders]
    for one in processes:
        printed, _ = one.communicate(timeout=300)
        assert (one.returncode, printed) == (0, "0\n")
    for folder in folders:
        assert_whole(folder, store_uri(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("note", [1, 2])
def test_a_process_that_is_killed_before_it_notes_what_was_delivered(
    out_root: Path, note: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = out_root / "one"
    one = process(folder, 2 * N_STEPS, note)
    one.communicate(timeout=300)
    assert one.returncode == -signal.SIGKILL
    second = fill(folder, N_STEPS)
    assert second.synced.n_waiting == 0
    found, expected = filling.stored(store_uri(out_root)), filling.handed(folder)
    assert found == expected
    status = sorted(run.info.status for run in filling.runs_in(store_uri(out_root)))
    assert set(status) <= {"FINISHED", "KILLED"}
