"""A study trains what is missing, one folder a training seed, and makes one table of all."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from envs.core.validation import SettingError
from envs.load_balancing.config import Telemetry
from hierarchy import study
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import Results
from hierarchy.evidence.statistics import t_interval
from hierarchy.storage.folder import NotTrainedError, seed_folders
from hierarchy.storage.lock import alone_in
from hierarchy.tracking.progress import Silent
from tests.hierarchy.episodes import PICTURES

AGENTS = ("lower.safetensors", "upper.safetensors")


class Studied(NamedTuple):
    """A finished study of two training seeds."""

    config: ExperimentConfig
    out: Path
    results: Results


@pytest.fixture(scope="module")
def config(untracked_config: ExperimentConfig) -> ExperimentConfig:
    """Training seeds begin at 3, and there are no balancing rules."""
    return dataclasses.replace(
        untracked_config, seed=3, ablation=dataclasses.replace(untracked_config.ablation, heuristics=False)
    )


@pytest.fixture(scope="module")
def studied(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Studied:
    out = tmp_path_factory.mktemp("study") / "two"
    return Studied(config, out, study.run_study(config, out, "tiny", 2, Silent()))


@pytest.fixture
def copied(studied: Studied, tmp_path: Path) -> Path:
    """The folder of the study, to write in."""
    return shutil.copytree(studied.out, tmp_path / "copied")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def written(folder: Path, names: tuple[str, ...] = AGENTS) -> list[int]:
    """When the files of all training seeds were last written."""
    return [path.stat().st_mtime_ns for name in names for path in sorted(folder.glob(f"seed-*/{name}"))]


# All training seeds.


def test_a_study_that_another_one_writes_is_left_alone(config: ExperimentConfig, tmp_path: Path) -> None:
    with (
        alone_in(tmp_path),
        pytest.raises(SettingError, match=r"^out must be a folder that no other experiment writes"),
    ):
        study.run_study(config, tmp_path, "tiny", 2, Silent())
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_training_seed_has_a_folder_as_a_single_experiment_would_leave_it(studied: Studied) -> None:
    assert [folder.name for folder in seed_folders(studied.out)] == ["seed-3", "seed-4"]
    for seed, folder in zip((3, 4), seed_folders(studied.out), strict=True):
        there = {path.name for path in folder.iterdir()}
        assert {*AGENTS, "config.json", "curves.json", "found.json", "episodes.npz", "results.json"} <= there
        assert read(folder / "config.json")["seed"] == read(folder / "results.json")["seed"] == seed


@pytest.mark.slow
def test_beside_them_is_one_table_and_pictures_of_all(studied: Studied) -> None:
    there = {path.name for path in studied.out.iterdir()}
    assert there == {"seed-3", "seed-4", "config.json", "results.json"} | PICTURES
    assert read(studied.out / "results.json") == json.loads(json.dumps(studied.results))
    of_seeds = [read(folder / "results.json") for folder in seed_folders(studied.out)]
    assert studied.results["training_seeds"] == [3, 4]
    for name, arm in studied.results["arms"].items():
        parts = [one["arms"][name] for one in of_seeds]
        if arm is None:
            assert None in parts
            continue
        means = [float(np.mean(part["objective"]["per_seed"])) for part in parts]
        assert arm["objective"]["per_seed"] == pytest.approx(means)
        assert arm["objective"]["ci95"] == pytest.approx(t_interval(np.array(means)))


@pytest.mark.slow
def test_training_seeds_learn_by_themselves(studied: Studied, config: ExperimentConfig, tmp_path: Path) -> None:
    one, two = (read(folder / "results.json")["arms"]["learned"] for folder in seed_folders(studied.out))
    assert one != two
    alone = study.run_seed(dataclasses.replace(config, seed=4), tmp_path / "alone", "tiny", None)
    assert json.loads(json.dumps(alone["arms"]["learned"])) == two


@pytest.mark.slow
def test_a_second_call_trains_nothing_and_says_the_same(studied: Studied, copied: Path) -> None:
    before = written(copied, (*AGENTS, "results.json", "episodes.npz"))
    found = study.run_study(studied.config, copied, "tiny", 2, Silent())
    assert written(copied, (*AGENTS, "results.json", "episodes.npz")) == before
    assert len(before) == 8
    for key in ("training_seeds", "arms", "comparisons", "gap_closed"):
        assert json.dumps(found[key]) == json.dumps(studied.results[key])  # type: ignore[literal-required]


@pytest.mark.slow
def test_other_settings_in_the_same_folder_are_refused_before_anything_is_done(studied: Studied, copied: Path) -> None:
    lower = dataclasses.replace(studied.config.lower, gamma=0.5)
    before = read(copied / "config.json")
    with pytest.raises(NotTrainedError, match=r"out must be empty or trained with lower\.gamma 0\.5, got .* with 0\.98"):
        study.run_study(dataclasses.replace(studied.config, lower=lower), copied, "tiny", 2, Silent())
    assert read(copied / "config.json") == before


# One training seed.


@pytest.mark.slow
def test_other_arms_are_compared_anew_by_the_agents_that_are_there(studied: Studied, copied: Path) -> None:
    before, folder = written(copied), copied / "seed-3"
    ablation = dataclasses.replace(studied.config.ablation, fixed=[0.0, 0.0, 1.0])
    found = study.run_seed(dataclasses.replace(studied.config, ablation=ablation), folder, "tiny", None)
    assert found["arms"]["fixed_custom"] is not None
    assert written(copied) == before
    assert read(folder / "results.json")["arms"]["fixed_custom"] is not None


@pytest.mark.slow
def test_a_training_seed_without_an_agent_is_trained(studied: Studied, copied: Path) -> None:
    folder = copied / "seed-3"
    (folder / "upper.safetensors").unlink()
    (folder / "results.json").unlink()
    found = study.run_seed(studied.config, folder, "tiny", None)
    assert (folder / "upper.safetensors").is_file()
    assert found["arms"]["learned"] == read(studied.out / "seed-3" / "results.json")["arms"]["learned"]


class StopError(Exception):
    """Something ended the comparison half way."""


@pytest.mark.slow
def test_results_of_other_arms_are_not_taken_for_these(
    studied: Studied, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A comparison that was begun with other arms and stopped half way leaves no results that pass for its own."""
    ablation = dataclasses.replace(studied.config.ablation, fixed=[0.0, 0.0, 1.0])
    config, folder = dataclasses.replace(studied.config, ablation=ablation), copied / "seed-3"

    def stop(*_: Any, **__: Any) -> None:
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr("hierarchy.arms.ablation.Ablation.run", stop)
        with pytest.raises(StopError):
            study.run_seed(config, folder, "tiny", None)
    assert study.run_seed(config, folder, "tiny", None)["arms"]["fixed_custom"] is not None


# Folders and settings.


def test_folders_are_in_the_order_of_their_seeds_and_unfinished_ones_left_out(tmp_path: Path) -> None:
    for seed in (10, 9, 2):
        (tmp_path / f"seed-{seed}").mkdir()
        (tmp_path / f"seed-{seed}" / "results.json").touch()
    (tmp_path / "seed-1").mkdir()
    assert [folder.name for folder in seed_folders(tmp_path)] == ["seed-2", "seed-9", "seed-10"]
    assert seed_folders(tmp_path / "seed-2") == []


def test_a_folder_from_before_a_setting_has_its_default(config: ExperimentConfig, tmp_path: Path) -> None:
    saved = dataclasses.asdict(config)
    del saved["env"]["telemetry"]["samples"], saved["upper"]["tau"]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    study.check_folder(config, tmp_path)
    other = dataclasses.replace(config, env=dataclasses.replace(config.env, telemetry=Telemetry(samples=False)))
    with pytest.raises(NotTrainedError, match=r"trained with env\.telemetry"):
        study.check_folder(other, tmp_path)


@pytest.mark.parametrize(
    ("part", "name", "value"), [("env", "dt_s", 0.125), ("lower", "n_epochs", 9), ("upper", "tau", 0.125)]
)
def test_a_folder_must_hold_agents_of_the_same_settings(
    config: ExperimentConfig, tmp_path: Path, part: str, name: str, value: float
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    study.check_folder(config, tmp_path)
    study.check_folder(dataclasses.replace(config, seed=9, threads=2), tmp_path)
    study.check_folder(config, tmp_path / "empty")
    other = dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **{name: value})})
    with pytest.raises(NotTrainedError, match=rf"out must be empty or trained with {part}\.{name} {value}, got "):
        study.check_folder(other, tmp_path)
