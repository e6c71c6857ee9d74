"""A Ray of one's own: who gets in, what jobs find there, what becomes of those whose worker ends, what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from envs.core.validation import SettingError
from hierarchy.executors import clusters, executor, warden
from hierarchy.executors.on_ray import OnRay
from hierarchy.phases.checks import check_experiment
from hierarchy.storage.lock import alone_in
from tests.hierarchy.executors.rays import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
STORE = "MLFLOW_TRACKING_URI"


def end_at_first(file: Path) -> int:
    """End the process without a word, unless it has been done before."""
    if not file.exists():
        file.touch()
        os._exit(3)
    return os.getpid()


def filled(values: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """What a job finds: its arguments are its own to write to."""
    import torch as th

    values += 1.0
    found = {"threads": th.get_num_threads(), "folder": Path.cwd(), "store": os.environ.get(STORE), "pid": os.getpid()}
    return values, found


def held(folder: Path, tries: Path) -> bool:
    """Whether a job gets a folder for itself; it leaves a mark whenever it tries."""
    with tries.open("a") as file:
        file.write("x")
    with alone_in(folder):
        return True


def sleep(file: Path) -> None:
    """Say that it has begun, and take longer than anyone waits."""
    file.touch()
    time.sleep(600)


@pytest.fixture(scope="module")
def running() -> Iterator[OnRay]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORE, "http://where.it.is")
        with OnRay(threads=2) as one:
            yield one


def test_a_job_has_what_it_needs_there(running: OnRay) -> None:
    values, found = running.submit(filled, np.zeros(50_000)).result()
    values += 1.0
    assert values.tolist() == [2.0] * 50_000
    assert found.pop("pid") != os.getpid()
    assert found == {"threads": 2, "folder": Path.cwd(), "store": "http://where.it.is"}


def test_a_job_whose_worker_ends_is_done_by_another(running: OnRay, tmp_path: Path) -> None:
    assert running.submit(end_at_first, tmp_path / "begun").result() != os.getpid()


def test_a_job_that_ends_every_worker_is_an_error_in_one_line(running: OnRay, tmp_path: Path) -> None:
    with pytest.raises(
        SettingError, match=r"^executor must be one whose workers last \(a job has lost 4 of them.+, got ray$"
    ):
        running.submit(os._exit, 3).result()


def test_a_job_waits_for_a_folder_that_the_one_before_has_not_let_go_of(running: OnRay, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    tries.touch()
    with alone_in(tmp_path):
        waiting = running.submit(held, tmp_path, tries)
        until(lambda: waiting.done() or len(tries.read_text()) > 1)
        assert not waiting.done()
    assert waiting.result()


def test_who_has_no_token_is_not_let_in(running: OnRay) -> None:
    import ray

    there = ray.get_runtime_context().gcs_address
    for mode, token, status in (("disabled", "", 3), ("token", "1" * 64, 3), ("token", os.environ["RAY_AUTH_TOKEN"], 0)):
        environment = {**os.environ, "RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": token}
        command = [sys.executable, "-c", clusters.ASK_OPENLY, there]
        asked = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert asked.returncode == status, (mode, token)


DRIVER = """
import os, sys, time
from pathlib import Path
from hierarchy.executors.on_ray import OnRay
from tests.hierarchy.executors.test_ray import sleep
with OnRay() as workers:
    workers.submit(sleep, Path(sys.argv[1]))
    while not Path(sys.argv[1]).exists():
        time.sleep(0.05)
    print(workers.submit(os.getenv, "METABALANCE_RAY").result(), flush=True)
    if sys.argv[2] == "interrupt":
        raise KeyboardInterrupt
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_nothing_is_left_behind(tmp_path: Path, how: str) -> None:
    """Not of a Ray whose block is left while a job is under way, and not of one whose driver is killed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "begun"), how]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert driver.stdout is not None
    folder = driver.stdout.readline().strip()
    assert folder
    if how == "kill":
        assert warden.marked(folder)
        driver.send_signal(signal.SIGKILL)
    driver.communicate()
    until(lambda: not warden.marked(folder) and not Path(folder).exists(), 60.0)
    assert driver.returncode == -(signal.SIGKILL if how == "kill" else signal.SIGINT)


# Clusters that are not joined.


@pytest.mark.parametrize("address", ["ray://head:10001", "nowhere", "auto", "localhost:"])
def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SettingError, match=rf"^RAY_ADDRESS must be HOST:PORT of the head of .+, got {address}$"):
        executor("ray", 1)


def test_an_address_where_nobody_answers_is_refused_before_anything_is_written(
    untracked_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setenv("RAY_ADDRESS", "localhost:1")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "1" * 64)
    with pytest.raises(SettingError, match=r"^RAY_ADDRESS must be .+, got localhost:1, which does not answer$"):
        check_experiment(replace(untracked_config, executor="ray"))


def test_who_has_no_token_does_not_ask_to_join(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "localhost:1")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with pytest.raises(SettingError, match=r"^RAY_AUTH_TOKEN must be the token of the cluster .+, got none, nor .+token$"):
        executor("ray", 1)


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hierarchy.extras.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"^executor must be .+ \(pip install 'metabalance\[ray\]'\), got ray$"):
        executor("ray", 1)


def test_a_cluster_that_lets_anyone_in_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "tests.hierarchy.executors.rays", "disabled"]
    open_one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert open_one.stdout is not None
    try:
        monkeypatch.setenv("RAY_ADDRESS", open_one.stdout.readline().strip())
        monkeypatch.setenv("RAY_AUTH_TOKEN", "1" * 64)
        with pytest.raises(SettingError, match=r"^RAY_ADDRESS must be a cluster that asks for a token .+ lets anyone in$"):
            executor("ray", 1)
    finally:
        open_one.communicate()
    assert open_one.returncode == 0
