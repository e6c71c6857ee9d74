"""`metabalance evaluate`: the arms of trained agents in another world, and nothing changed where they came from."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.study import run_study
from hierarchy.tracking.progress import Silent
from runs.cli import main


def evaluated(folder: Path, *options: object) -> Any:
    """The results that the command writes."""
    out = folder.parent / "evaluated.json"
    assert main(["evaluate", str(folder), "--json", str(out), *map(str, options)]) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def objective(found: Any, arm: str) -> list[float]:
    values: list[float] = found["arms"][arm]["objective"]["per_seed"]
    return values


def test_in_the_same_world_the_arms_do_the_same(trained: Any) -> None:
    before = held(trained.out)
    found = evaluated(trained.out)
    assert held(trained.out) == before
    for arm in ("learned", "fixed_best", "delayed_oracle", "sed"):
        assert objective(found, arm) == pytest.approx(objective(trained.results, arm))


def test_in_another_world_they_do_something_else(trained: Any) -> None:
    found = evaluated(trained.out, "--env.pool.price_usd_per_h", "[0.4,0.2]")
    assert objective(found, "learned") != objective(trained.results, "learned")
    assert found["arms"]["fixed_best"]["context"] == pytest.approx(trained.results["arms"]["fixed_best"]["context"])


def test_it_takes_no_output_folder(trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(trained.out), "--out", str(tmp_path / "elsewhere")]) == 2
    assert "--out" in capsys.readouterr().err


def test_oracles_know_nothing_of_other_regimes(trained: Any) -> None:
    found = evaluated(trained.out, "--env.workload.regimes.loads", "[0.1,0.2,0.3]")
    assert found["arms"]["regime_oracle"] is None
    assert found["arms"]["learned"] is not None


@pytest.mark.slow
def test_every_training_seed_of_a_study_is_met(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    run_study(untracked_config, tmp_path / "study", "tiny", 2, Silent())
    found = evaluated(tmp_path / "study", "--env.dt_s", "0.5")
    assert found["training_seeds"] == [0, 1]
    assert len(objective(found, "learned")) == 2


def test_an_equivariant_agent_runs_on_another_number_of_servers(untracked_config: ExperimentConfig, tmp_path: Path) -> None:
    lower = dataclasses.replace(untracked_config.lower, policy="equivariant")
    config = dataclasses.replace(untracked_config, lower=lower)
    experiment.train(experiment.Experiment(config, tmp_path / "parts", "tiny", Silent()))
    pool = {"cores": [2, 1, 1], "speed": [1.0, 1.0, 2.0], "price_usd_per_h": [0.2, 0.1, 0.1], "memory_gb": [4.0, 4.0, 4.0]}
    found = evaluated(tmp_path / "parts", *(word for name, value in pool.items() for word in (f"--env.pool.{name}", value)))
    assert found["arms"]["learned"]["metrics"]["servers_on"] > 0


def test_what_can_not_be_evaluated_is_refused_in_one_line(
    trained: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(trained.out, bare)
    (bare / "found.json").unlink()
    lists = ("cores", "speed", "price_usd_per_h", "memory_gb")
    three = [word for name in lists for word in (f"--env.pool.{name}", "[1,1,1]")]
    for words, told in (
        ([], "evaluate must be given the folder"),
        (["--json", "x.json"], "evaluate must be given the folder"),
        ([tmp_path / "nowhere"], "folder must hold config.json"),
        ([bare], "folder must be one that holds found.json"),
        ([trained.out, *three], "lower.safetensors must be trained for n_parts 3, got 2"),
        ([trained.out, "--env.dt_s", "-1"], "env.dt_s must be > 0 and <= 3600, got -1.0"),
        ([trained.out, "--json", tmp_path], "json must be a file"),
    ):
        assert main(["evaluate", *map(str, words)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        assert told in printed.err
