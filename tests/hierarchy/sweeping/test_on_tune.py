"""The same on Ray Tune: killed in the middle, its trials are there once, each worth what it is worth without Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hierarchy.config import ExperimentConfig
from hierarchy.sweeping import on_tune
from hierarchy.sweeping.search import Search
from hierarchy.sweeping.storage import REDUCTION, Storage
from hierarchy.sweeping.trial import Trial, run_trial
from tests.hierarchy.sweeping.swept import SPACE, agents_of, sweep_from, trials_of

pytest.importorskip("ray")

ROOT = Path(__file__).resolve().parents[3]
LONGEST_S = 900.0


def begin(*words: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    command = [sys.executable, "-m", "runs.cli", *map(str, words)]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
        cwd=ROOT,
    )


def n_ended(out: Path) -> int:
    return len([one for one in trials_of(out) if one["state"] != "running"]) if (out / "trials.json").is_file() else 0


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, pytest.param(12, marks=pytest.mark.long)])
def test_trials_that_are_killed_in_the_middle_are_there_once(n: int, tiny_settings: Path, tmp_path: Path) -> None:
    out, space = tmp_path / "out", tmp_path / "space.json"
    space.write_text(json.dumps({name: one.plain() for name, one in SPACE.items()}))
    words = ["--config", tiny_settings, "--space", space, "--trials", n, "--out", out, "--executor", "ray"]
    words += ["--tracking.enabled", "false", "--checkpoint_s", "0"]
    process = begin("sweep", *words)
    last_s = time.monotonic() + LONGEST_S
    while n_ended(out) < n // 4 and process.poll() is None and time.monotonic() < last_s:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 1 <= n_ended(out) < n
    kept = [one for one in trials_of(out) if one["state"] == "complete"]

    _, said = begin("sweep", *words).communicate(timeout=LONGEST_S)
    found = trials_of(out)
    assert [one["number"] for one in found] == list(range(n)), said
    assert {one["state"] for one in found} <= {"complete", "pruned"}, said
    assert [one for one in found if one in kept] == kept
    assert len({str(one["values"]) for one in found}) == n

    one = max((one for one in found if one["state"] == "complete"), key=lambda one: one["number"])
    sweep = sweep_from(_read_config(out), n)
    alone = Trial(0, sweep.config_of(one["values"]), tmp_path / "alone", "tiny", None)
    assert run_trial(alone, lambda rung, objective: None).objective == one["objective"]
    assert agents_of(alone.folder) == agents_of(out / f"trial-{one['number']}")


def _read_config(out: Path) -> ExperimentConfig:
    from hierarchy.storage.settings import config_from

    return config_from(json.loads((out / "sweep.json").read_text())["config"] | {"executor": "inline"})


def test_tune_goes_on_with_the_rungs_that_trials_came_to_before(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    """Of trials that have ended, not of those that come to their rungs again."""
    from types import SimpleNamespace

    storage = Storage(tmp_path, SPACE, 0)
    sweep = sweep_from(untracked_config, 9)
    search = Search(sweep, tmp_path, None, storage, lambda n: None)
    for objective in (1.0, 2.0, 3.0):
        trial = search.next()
        assert trial is not None
        storage.report(trial.number, 1, objective)
        search.end(trial.number, on_tune.Ended(objective))
    running = search.next()
    assert running is not None
    storage.report(running.number, 1, 100.0)
    scheduler = on_tune._scheduler(search)
    for name, objective, said in (("worse", 2.3, "STOP"), ("better", 2.4, "CONTINUE")):
        one = SimpleNamespace(trial_id=name)
        scheduler.on_trial_add(None, one)
        assert scheduler.on_trial_result(None, one, {on_tune.RUNG: 1, on_tune.OBJECTIVE: objective}) == said, name
    assert REDUCTION == 3
