"""`metabalance dataset`: what was made is there whole, and what can't be is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierarchy.datasets.reading import read_dataset
from runs.cli import main
from tests.hierarchy.collecting.test_recordings import AUDIT, LOG

Capture = pytest.CaptureFixture[str]
Refused = Callable[..., str]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_pair_makes_one(trained: Any, tmp_path: Path, capsys: Capture) -> None:
    before = {path.name: path.read_bytes() for path in trained.out.iterdir() if path.is_file()}
    made = tmp_path / "made"
    assert run("dataset", trained.out, "--to", made, "--episodes", 3, "--random_share", 0.5) == 0
    assert capsys.readouterr().out == (f"48 actions of pair: recurrent_ppo, likeliest actions, contexts of td3 in {made}\n")
    assert sorted(path.name for path in made.iterdir()) == ["data", "world.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"], "no draft is left"
    found = read_dataset(made, "data")
    assert found.said.random_share == 0.5
    assert len(found.episodes) == 3
    assert {path.name: path.read_bytes() for path in trained.out.iterdir() if path.is_file()} == before


def test_a_bundle_makes_the_same(trained: Any, tmp_path: Path) -> None:
    assert run("export", trained.out, "--to", tmp_path / "bundle") == 0
    for name, source in (("ours", trained.out), ("theirs", tmp_path / "bundle")):
        assert run("dataset", source, "--to", tmp_path / name, "--episodes", 2) == 0
    ours, theirs = (read_dataset(tmp_path / name, "data") for name in ("ours", "theirs"))
    assert ours.digest == theirs.digest


def test_a_rule_makes_one_in_a_world_of_any_settings(tiny_settings: Path, tmp_path: Path, capsys: Capture) -> None:
    made = tmp_path / "made"
    assert run("dataset", "--rule", "sed", "--config", tiny_settings, "--to", made, "--episodes", 2) == 0
    assert capsys.readouterr().out == f"32 actions of rule sed in {made}\n"
    assert read_dataset(made, "data").said.env["pool"]["cores"] == [2, 1]


def test_settings_of_the_dataset_are_settings(tiny_settings: Path, tmp_path: Path) -> None:
    """Its world, taken from where it stands, makes the same dataset."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    first = ["--rule", "nominal", "--episodes", 2]
    assert run("dataset", *first, "--config", tiny_settings, "--to", ours) == 0
    assert run("dataset", *first, "--config", tiny_settings, "--config", ours / "world.json", "--to", theirs) == 0
    assert read_dataset(ours, "data").digest == read_dataset(theirs, "data").digest


def test_a_guided_rule_has_its_numbers_in_them(tiny_settings: Path, tmp_path: Path) -> None:
    made, guided = tmp_path / "made", ["--config", tiny_settings, "--env.actions.mode", "guided"]
    assert run("dataset", "--rule", "nominal", *guided, "--to", made, "--episodes", 2) == 0
    rule = read_dataset(made, "data").said.base_rule
    assert rule is not None
    assert len(rule["names"]) == 1
    assert rule["numbers"]


def test_what_can_not_be_is_refused(refused: Refused, trained: Any, tmp_path: Path, tiny_settings: Path) -> None:
    here = ["--config", tiny_settings, "--to", tmp_path / "made"]
    assert refused("dataset", trained.out).startswith("to must be given, as in: dataset DIR --to PATH")
    assert refused("dataset", *here).startswith("rule must be given where no folder of a trained pair is")
    assert refused("dataset", "--rule", "wrr", *here).startswith("rule must be one of nominal, lsq, sed")
    assert refused("dataset", "--rule", "nominal", *here, "--random_share", "2").startswith("random_share must be")
    assert refused("dataset", tmp_path / "none", "--to", tmp_path / "made").startswith("folder must hold config.json")
    other = refused("dataset", trained.out, "--to", tmp_path / "made", "--env.actions.levels", "[0.0,1.0]")
    assert other.startswith("lower.safetensors must be trained for levels 0.0, 1.0, got")
    full = refused("dataset", trained.out, "--to", tmp_path)
    assert full.startswith("to must be a folder that is empty or not there yet")


@pytest.mark.parametrize("text", [AUDIT, LOG])
def test_a_recording_of_a_real_balancer_is_refused(refused: Refused, tmp_path: Path, text: str) -> None:
    (tmp_path / "recording").write_text(text)
    line = refused("dataset", tmp_path / "recording", "--to", tmp_path / "made")
    assert line.startswith("folder must be the folder of an experiment or a bundle (a")
