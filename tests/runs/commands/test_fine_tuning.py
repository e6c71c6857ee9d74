"""`--from`: agents of either level begin as those of a folder or a bundle, or are refused before anything is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hierarchy.storage.saved import read_saved
from runs.cli import main
from tests.hierarchy.left import left_by
from tests.hierarchy.writes import Writes

UNTRACKED = ["--tracking.enabled", "false"]
LEVELS = ("lower", "upper")
DEARER = ["--env.pool.price_usd_per_h", "[0.4,0.3]"]
THREE = [word for name in ("cores", "speed", "price_usd_per_h", "memory_gb") for word in (f"--env.pool.{name}", "[1,1,1]")]
OTHER = {"lower": "sac_gru", "upper": "sac"}
SMALL = {"lower": ["--lower.learning_starts", "32"], "upper": []}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def source(trained: Any, tmp_path: Path) -> Path:
    """The folder of a finished experiment."""
    return shutil.copytree(trained.out, tmp_path / "source")


@pytest.fixture
def out(trained: Any, tmp_path: Path) -> Path:
    """A folder with a lower agent, to train an upper one above."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("config.json", "lower.safetensors"):
        shutil.copy(trained.out / name, folder)
    return folder


def settings_in(folder: Path) -> Any:
    return json.loads((folder / "config.json").read_text())


def begun_from(folder: Path, name: str) -> str:
    path: str = read_saved(folder / f"{name}.safetensors").description["begun_from"]["path"]
    return path


def test_settings_are_those_of_what_is_begun_from_and_the_words_given(source: Path, tmp_path: Path) -> None:
    """Both levels learn on, one command each."""
    out = tmp_path / "again"
    assert run("train-lower", "--from", source, "--out", out, *DEARER, *UNTRACKED) == 0
    assert settings_in(out)["preset"] == settings_in(source)["preset"]
    assert settings_in(out)["lower"] == settings_in(source)["lower"]
    assert settings_in(out)["env"]["pool"]["price_usd_per_h"] == [0.4, 0.3]
    assert run("train-upper", "--from", source, "--out", out) == 0
    for name in LEVELS:
        assert begun_from(out, name) == str(source.resolve())
    assert run("ablate", "--out", out, "--ablation.heuristics", "false", "--ablation.oracles", "false") == 0
    assert set(json.loads((out / "results.json").read_text())["begun_from"]) == set(LEVELS)


def test_a_bundle_is_begun_from(source: Path, tmp_path: Path) -> None:
    bundle, out = tmp_path / "bundle", tmp_path / "again"
    assert run("export", source, "--to", bundle) == 0
    assert run("train-lower", "--from", bundle, "--out", out, *UNTRACKED) == 0
    assert settings_in(out)["env"] == settings_in(source)["env"]
    assert run("train-upper", "--from", bundle, "--out", out, "--upper.candidates", 1) == 0
    for name in LEVELS:
        assert begun_from(out, name) == str(bundle.resolve())


def test_settings_of_a_preset_win_over_those_of_what_is_begun_from(
    source: Path, tiny_settings: Path, tmp_path: Path
) -> None:
    out, settings = tmp_path / "again", json.loads(tiny_settings.read_text())
    usual = settings.pop("checkpoint_s")
    tiny_settings.write_text(json.dumps(settings))
    (source / "config.json").write_text(json.dumps({**settings_in(source), "checkpoint_s": 5.0}))
    for words, found in (([], ("tiny", 5.0)), (["--preset", "scratch"], ("scratch", usual))):
        assert run("train-lower", "--from", source, "--config", tiny_settings, "--out", out, *words, *UNTRACKED) == 0
        assert (settings_in(out)["preset"], settings_in(out)["checkpoint_s"]) == found


@pytest.mark.parametrize("name", LEVELS)
def test_what_can_not_be_begun_from_is_refused_in_one_line(
    name: str, source: Path, out: Path, tiny_settings: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Before anything is written."""
    bare, empty = tmp_path / "bare", tmp_path / "empty"
    shutil.copytree(source, bare)
    (bare / f"{name}.safetensors").unlink()
    empty.mkdir()
    damaged = shutil.copytree(source, tmp_path / "damaged") / f"{name}.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    file, words = f"{name}.safetensors", [f"train-{name}", "--preset", "scratch", "--config", tiny_settings, "--out", out]
    made_by = f"(made by train-{name})"
    for given, told in (
        (["--from", tmp_path / "nowhere"], f"from must be a folder that holds {file} {made_by}, got {tmp_path / 'nowhere'}"),
        (["--from", empty], f"from must be a folder that holds {file} {made_by}, got {empty}"),
        (["--from", bare], f"from must be a folder that holds {file} {made_by}, got {bare}"),
        (["--from", damaged.parent], f"{file} must be an agent that can be read, got "),
        (["--from", source, f"--{name}.hidden_size", 9], f"{file} must be an agent whose networks have the same form, got "),
        (["--from", source, "--out", source], "out must be another folder than that of from, which stays as it is, got "),
        (
            ["--from", source, f"--{name}.algorithm", OTHER[name], *SMALL[name]],
            f"algorithm must be {settings_in(source)[name]['algorithm']}, that of {file}, got {OTHER[name]}",
        ),
    ):
        assert refused(*words, *given).startswith(told)


def test_another_world_is_refused_in_the_field_that_differs(
    source: Path, out: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    told = refused("train-lower", "--from", source, "--out", tmp_path / "again", *THREE)
    assert told == "lower.safetensors must be trained for n_parts 3, got 2"
    levels = ["--env.actions.levels", "[0,1,2]"]
    told = refused("train-lower", "--from", source, "--out", tmp_path / "again", *levels)
    assert told == "lower.safetensors must be trained for levels 0.0, 1.0, 2.0, got 0.0, 1.0, 1.5, 2.0"


def test_without_a_preset_what_is_begun_from_must_hold_settings(refused: Callable[..., str], tmp_path: Path) -> None:
    told = refused("train-lower", "--from", tmp_path / "nowhere", "--out", tmp_path / "again")
    assert told == f"from must hold config.json (made by train or ablate) or be a bundle, got {tmp_path / 'nowhere'}"


@pytest.mark.parametrize("command", ["train", "ablate"])
def test_other_commands_begin_from_nothing(command: str, source: Path, refused: Callable[..., str]) -> None:
    assert "--from" in refused(command, "--from", source, "--out", source.parent / "again")


@pytest.mark.parametrize("name", LEVELS)
def test_what_was_cut_short_is_resumed_to_the_same_bits(
    name: str, source: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the folder that it began from."""
    writes, whole = Writes(monkeypatch), shutil.copytree(out, tmp_path / "whole")
    words = [f"train-{name}", "--from", source, "--checkpoint_s", 0, "--lower.timesteps", 160, *DEARER, *UNTRACKED, "--out"]
    assert run(*words, whole) == 0
    writes.cut(writes.n // 2 + 1)  # between two checkpoints
    assert run(*words, out) == 130
    writes.cut(-1)
    shutil.rmtree(source)
    assert run("resume", out) == 0
    assert left_by(out) == left_by(whole)
