"""`metabalance export`: whole or not at all, and what can't be is refused in one line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from hierarchy import extras
from hierarchy.storage.bundle import read_bundle
from runs.cli import main

Capture = pytest.CaptureFixture[str]
FILES = {
    "bundle": {"bundle.json", "lower.safetensors", "upper.safetensors"},
    "onnx": {"description.json", "lower.onnx", "upper.onnx"},
    "sb3": {"description.json", "lower.zip", "upper.zip"},
}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def refused(capsys: Capture, *arguments: object) -> str:
    """The one line that a command ends with."""
    capsys.readouterr()
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("metabalance: ")


@pytest.mark.parametrize("name", FILES)
def test_a_pair_is_written_in_every_form(trained: Any, tmp_path: Path, name: str) -> None:
    before = {path.name: path.read_bytes() for path in trained.out.iterdir()}
    assert run("export", trained.out, "--to", tmp_path / "made", "--format", name) == 0
    assert {path.name for path in (tmp_path / "made").iterdir()} == FILES[name]
    assert [path.name for path in tmp_path.iterdir()] == ["made"], "no draft is left"
    assert {path.name: path.read_bytes() for path in trained.out.iterdir()} == before


def test_a_bundle_names_the_run_that_it_is_from(trained: Any, tmp_path: Path) -> None:
    assert run("export", trained.out, "--to", tmp_path / "one") == 0
    assert run("export", tmp_path / "one", "--to", tmp_path / "two") == 0
    journal = (trained.out / "journal.jsonl").read_text()
    key = read_bundle(tmp_path / "two").run
    assert key is not None
    assert key in journal


def test_what_can_not_be_written_is_refused(trained: Any, tmp_path: Path, capsys: Capture) -> None:
    bundle, full = tmp_path / "bundle", tmp_path / "full"
    assert run("export", trained.out, "--to", bundle) == 0
    full.mkdir()
    (full / "mine").write_text("stays")
    empty = "to must be a folder that is empty or not there yet, got "
    assert refused(capsys, "export", trained.out, "--to", full).startswith(empty)
    assert refused(capsys, "export", trained.out, "--to", full / "mine").startswith(empty)
    assert refused(capsys, "export", trained.out).startswith("to must be given")
    assert refused(capsys, "export", tmp_path / "none", "--to", tmp_path / "a").startswith("folder must be one that holds")
    of_bundle = refused(capsys, "export", bundle, "--to", tmp_path / "b", "--format", "sb3")
    assert of_bundle == "folder must be that of an experiment for format sb3, which holds critics as well, got a bundle"
    assert "format must be one of bundle, onnx, sb3" in refused(capsys, "export", bundle, "--to", "x", "--format", "zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "full"]
    assert (full / "mine").read_text() == "stays"


def test_a_missing_package_is_named_with_its_extra(
    trained: Any, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "onnx" else there(name))
    line = refused(capsys, "export", trained.out, "--to", tmp_path / "made", "--format", "onnx")
    assert line == "format must be one whose packages are installed (pip install 'metabalance[onnx]'), got onnx"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["train"], ["train-lower"], ["ablate", "--seeds", "2"]], ids=str)
def test_nothing_is_trained_into_a_bundle(
    command: list[str], trained: Any, tmp_path: Path, tiny_settings: Path, capsys: Capture
) -> None:
    bundle = tmp_path / "bundle"
    assert run("export", trained.out, "--to", bundle) == 0
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    said = refused(capsys, *command, "--config", tiny_settings, "--out", bundle)
    assert said == f"out must be the folder of an experiment, or a new one, got the bundle {bundle}"
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_bundle_is_evaluated_and_no_study_takes_it_for_a_folder(trained: Any, tmp_path: Path, capsys: Capture) -> None:
    bundle, ours, theirs = tmp_path / "bundle", tmp_path / "ours.json", tmp_path / "theirs.json"
    assert run("export", trained.out, "--to", bundle) == 0
    assert run("evaluate", bundle, "--json", ours) == run("evaluate", trained.out, "--json", theirs) == 0
    found, expected = (json.loads(path.read_text()) for path in (ours, theirs))
    assert found["arms"] == expected["arms"]
    assert found["preset"] == expected["preset"]
    assert refused(capsys, "study", "front", bundle).startswith(
        "folder must hold config.json (made by train or ablate), got"
    )
    assert sorted(path.name for path in bundle.iterdir()) == sorted(FILES["bundle"])
