"""A pair whose lower agent has learned from a dataset: trained, handed on, gone on with, without the dataset once it has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from hierarchy.datasets.reading import read_said
from hierarchy.experiment import Experiment
from hierarchy.lower.offline_learner import OfflineLearner
from hierarchy.storage.saved import read_saved
from runs.cli import main

Refused = Callable[..., str]
SMALL = ["--tracking.enabled", "false", "--lower.updates", 64, "--ablation.heuristics", "false"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


class Made(NamedTuple):
    data: Path
    out: Path
    settings: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A dataset that is gone, and what was trained on it."""
    import dataclasses

    from tests.conftest import TINY

    root = tmp_path_factory.mktemp("offline")
    (root / "tiny.json").write_text(json.dumps(dataclasses.asdict(TINY)), encoding="utf-8")
    given = ["--config", root / "tiny.json"]
    assert run("dataset", "--rule", "sed", "--to", root / "data", "--episodes", 4, *given) == 0
    learned = ["--lower.algorithm", "cql", "--lower.data", root / "data"]
    assert run("train", "--out", root / "out", *given, *SMALL, *learned) == 0
    shutil.move(root / "data", root / "gone")
    return Made(root / "gone", root / "out", root / "tiny.json")


def test_the_agent_says_what_it_learned_from(made: Made) -> None:
    saved = read_saved(made.out / "lower.safetensors")
    assert saved.description["algorithm"] == "cql"
    assert saved.description["dataset"] == read_said(made.data, "data")[1]


def test_it_is_evaluated_without_the_dataset(made: Made, tmp_path: Path) -> None:
    assert run("evaluate", made.out, "--json", tmp_path / "results.json") == 0
    arms = json.loads((tmp_path / "results.json").read_text())["arms"]
    assert (
        arms["learned"]["objective"]["mean"]
        == json.loads((made.out / "results.json").read_text())["arms"]["learned"]["objective"]["mean"]
    )


def test_it_is_handed_on_as_a_bundle_and_in_onnx(made: Made, tmp_path: Path) -> None:
    for form in ("bundle", "onnx"):
        assert run("export", made.out, "--to", tmp_path / form, "--format", form) == 0
    assert run("evaluate", tmp_path / "bundle", "--json", tmp_path / "ours.json") == 0
    assert run("evaluate", made.out, "--json", tmp_path / "theirs.json") == 0
    ours, theirs = (json.loads((tmp_path / f"{name}.json").read_text())["arms"] for name in ("ours", "theirs"))
    assert ours == theirs


def test_its_pair_makes_datasets_but_draws_nothing(
    made: Made, refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("dataset", made.out, "--to", tmp_path / "made", "--episodes", 2) == 0
    assert capsys.readouterr().out.startswith("32 actions of pair: cql, likeliest actions, contexts of td3")
    line = refused("dataset", made.out, "--to", tmp_path / "more", "--draws", "true")
    assert line.startswith("draws must be false for cql")


def test_an_upper_agent_is_trained_anew_without_the_dataset(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.out, tmp_path / "out")
    assert run("train-upper", "--out", tmp_path / "out", "--upper.meta_steps", 8) == 0


def test_what_was_cut_short_is_gone_on_with_to_the_last_bit(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = ["--lower.algorithm", "bcq", "--lower.data", made.data, "--config", made.settings, "--checkpoint_s", 0]
    assert run("train-lower", "--out", tmp_path / "whole", *learned, *SMALL[:4]) == 0
    update, n = OfflineLearner._update, []

    def failing(self: Any) -> None:
        n.append(1)
        if len(n) == 50:
            raise KeyboardInterrupt
        update(self)

    monkeypatch.setattr(OfflineLearner, "_update", failing)
    assert run("train-lower", "--out", tmp_path / "cut", *learned, *SMALL[:4]) == 130
    monkeypatch.undo()
    assert run("resume", tmp_path / "cut") == 0
    ours, theirs = (read_saved(tmp_path / name / "lower.safetensors").arrays for name in ("cut", "whole"))
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_what_is_left_to_do_needs_no_dataset_once_the_lower_agent_is_there(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.data, tmp_path / "data")
    learned = ["--lower.algorithm", "bc", "--lower.data", tmp_path / "data", "--config", made.settings]
    run_phase = Experiment._run_phase

    def until_upper(self: Any, phase: Any, work: Any) -> None:
        if phase.name == "upper":
            raise KeyboardInterrupt
        run_phase(self, phase, work)

    monkeypatch.setattr(Experiment, "_run_phase", until_upper)
    assert run("train", "--out", tmp_path / "cut", *learned, *SMALL) == 130
    monkeypatch.undo()
    shutil.rmtree(tmp_path / "data")
    assert run("resume", tmp_path / "cut") == 0
    assert (tmp_path / "cut" / "results.json").is_file()


def test_what_can_not_be_is_refused(made: Made, refused: Refused, tmp_path: Path) -> None:
    here = ["--config", made.settings, "--out", tmp_path / "out", "--lower.algorithm", "cql"]
    assert refused("train-lower", *here).startswith("lower.data must be the folder of a dataset")
    assert refused("train-lower", *here, "--lower.data", tmp_path).startswith(
        "lower.data must be a dataset that can be read"
    )
    given = [*here, "--lower.data", made.data]
    other = refused("train-lower", *given, "--env.actions.levels", "[0.0,1.0]")
    assert other.startswith("lower.data.action_space must be")
    assert refused("train-lower", *given, "--lower.timesteps", "9").startswith("lower.timesteps must be a setting of lower")
    assert refused("train-lower", *given, "--env.actions.mode", "weights").startswith(
        "lower.algorithm must be another unless"
    )
    export = refused("export", made.out, "--to", tmp_path / "sb3", "--format", "sb3")
    assert export == "format must be bundle or onnx for an algorithm that is none of Stable-Baselines3's, got sb3"
