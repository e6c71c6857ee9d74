"""`metabalance sweep`: killed and resumed, its best trial trained again, its page, its runs in MLflow; what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hierarchy.tracking.mlflow_store import open_store, store_uri
from runs.cli import main
from tests.hierarchy.sweeping.swept import agents_of, trials_of
from tests.hierarchy.tracking.stored import runs_of

SPACE = """
lower.learning_rate: {low: 1e-3, high: 0.3, log: true}
lower.n_steps: {choices: [8, 16]}
env.dt_s: {low: 0.25, high: 2}
"""
N = 12
LONGEST_S = 240.0
UNTRACKED = ["--tracking.enabled", "false", "--checkpoint_s", "0"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE, encoding="utf-8")
    return path


def n_ended(out: Path) -> int:
    return len([one for one in trials_of(out) if one["state"] != "running"]) if (out / "trials.json").is_file() else 0


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.slow
def test_twelve_trials_that_are_killed_in_the_middle_end_as_twelve(
    command: Callable[..., subprocess.Popen[str]], space: Path, tiny_settings: Path, tmp_path: Path
) -> None:
    words = ["--config", tiny_settings, "--space", space, "--trials", N, *UNTRACKED]
    assert run("sweep", *words, "--out", tmp_path / "whole") == 0
    out = tmp_path / "out"
    process = command("sweep", *words, "--out", out)
    last_s = time.monotonic() + LONGEST_S
    while n_ended(out) < 3 and process.poll() is None and time.monotonic() < last_s:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= n_ended(out) < N
    assert run("resume", out) == 0
    assert [one["number"] for one in trials_of(out)] == list(range(N))
    assert trials_of(out) == trials_of(tmp_path / "whole")
    assert agents_of(out) == agents_of(tmp_path / "whole")


@pytest.mark.slow
def test_the_best_trial_is_trained_again_bit_for_bit(
    space: Path, tiny_settings: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert run("sweep", "--config", tiny_settings, "--space", space, "--trials", 3, "--out", out, *UNTRACKED) == 0
    assert f"metabalance train --config {out / 'best.yaml'}" in capsys.readouterr().out
    best = json.loads((out / "trials.json").read_text())["best"]
    assert run("train", "--config", out / "best.yaml", "--out", tmp_path / "again") == 0
    assert agents_of(tmp_path / "again") == agents_of(out / f"trial-{best}")
    others = [agents_of(out / f"trial-{n}") for n in range(3) if n != best]
    assert all(one != agents_of(tmp_path / "again") for one in others)

    assert run("report", out) == 0
    page = (out / "report.html").read_text()
    for name in yaml.safe_load(SPACE):
        assert f"<th>{name}</th>" in page
    assert page.count("data:image/png;base64,") == 1  # slices; importances need more trials
    assert '<tr class="ours"><td>' + str(best) in page


@pytest.mark.slow
def test_trials_are_runs_below_that_of_the_sweep(space: Path, tiny_settings: Path, out_root: Path) -> None:
    out = out_root / "swept"
    assert run("sweep", "--config", tiny_settings, "--space", space, "--trials", 2, "--out", out) == 0
    assert run("sweep", "--config", tiny_settings, "--space", space, "--trials", 5, "--out", out) == 0
    runs = {f"{one.data.tags['level']}: {one.info.run_name}": one for one in runs_of(out_root)}
    parent = runs["sweep: swept"]
    found = json.loads((out / "trials.json").read_text())
    for one in found["trials"]:
        child = runs[f"trial: trial-{one['number']}"]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.params["lower.learning_rate"] == str(one["values"]["lower.learning_rate"])
        assert child.info.status == ("FINISHED" if one["state"] == "complete" else "KILLED")
        if one["state"] == "complete":
            assert child.data.metrics["objective"] == one["objective"]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["objective"] == found["trials"][found["best"]]["objective"]
    shown = {name for name in parent.data.metrics if name.startswith("importance/")}
    assert shown == {f"importance/{name}" for name in found["importances"]}
    artifacts = {one.path for one in open_store(store_uri(out_root)).list_artifacts(parent.info.run_id)}
    assert {"best.yaml", "sweep.json", "trials.json", "slices.png"} <= artifacts


BAD: dict[str, tuple[str, list[str]]] = {
    "unknown_setting": (
        "lower.learning_rat: {low: 1e-4, high: 1e-3}",
        ["lower.learning_rat must be", "lower.learning_rate"],
    ),
    "not_of_the_agents": ("ablation.n_seeds: {low: 1, high: 3}", ["ablation.n_seeds", "env, lower, meta, upper"]),
    "what_trials_are_compared_by": (
        "env.objective.name: {choices: [slo]}",
        ["env.objective.name", "the same in all trials"],
    ),
    "wrong_type": ("lower.gamma: {low: fast, high: 0.9}", ["lower.gamma.low", "a number", "fast"]),
    "fraction_of_a_count": ("lower.n_envs: {low: 1.5, high: 4}", ["lower.n_envs.low", "an integer", "1.5"]),
    "upside_down": ("lower.gamma: {low: 0.99, high: 0.9}", ["lower.gamma.low", "<= high (0.9)", "0.99"]),
    "log_of_nothing": ("lower.ent_coef: {low: 0, high: 0.1, log: true}", ["lower.ent_coef.low", "> 0 with log", "0.0"]),
    "no_choices": ("lower.n_steps: {choices: []}", ["lower.n_steps.choices", "at least 1", "[]"]),
    "choices_of_another_type": ("lower.n_steps: {choices: [8, many]}", ["lower.n_steps.choices", "an integer", "many"]),
    "range_of_words": ("lower.policy: {low: 1, high: 2}", ["lower.policy", "choices"]),
    "neither": ("lower.gamma: 0.9", ["lower.gamma", "low and high", "choices", "0.9"]),
    "half_a_range": ("lower.gamma: {low: 0.9}", ["lower.gamma", "low and high"]),
    "refused_at_the_end": ("lower.gamma: {low: 0.9, high: 1.5}", ["lower.gamma", "<= 1", "1.5"]),
    "refused_beside_another": (
        "{lower.n_steps: {choices: [8, 64]}, lower.batch_size: {low: 64, high: 1024, log: true}}",
        ["lower.batch_size", "<= n_envs * n_steps (512)", "1024"],
    ),
    "nothing": ("", ["space", "a mapping of settings"]),
    "no_mapping": ("- lower.gamma", ["space", "a mapping of settings"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_space_is_told_in_one_line(name: str, refused: Callable[..., str], tmp_path: Path) -> None:
    text, said = BAD[name]
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    line = refused("sweep", "--preset", "quick", "--space", path)
    assert all(part in line for part in said), line


WORDS: dict[str, tuple[list[str], list[str]]] = {
    "no_space": ([], ["space", "rates", "nothing"]),
    "unknown_space": (["--space", "nope"], ["space", "rates", "nope"]),
    "missing_file": (["--space", "nope.yaml"], ["space", "nope.yaml"]),
    "no_trials": (["--space", "rates", "--trials", "0"], ["trials", ">= 1", "0"]),
}


@pytest.mark.parametrize("name", WORDS)
def test_bad_words_are_told_in_one_line(name: str, refused: Callable[..., str]) -> None:
    words, said = WORDS[name]
    line = refused("sweep", "--preset", "quick", *words)
    assert all(part in line for part in said), line


def test_there_are_no_more_trials_than_the_space_has_points(refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text("lower.n_steps: {choices: [32, 64]}\nlower.n_epochs: {low: 2, high: 6, step: 2}", encoding="utf-8")
    line = refused("sweep", "--preset", "quick", "--space", path, "--trials", "7")
    assert line == "trials must be <= 6, which is all that the space has, got 7"
