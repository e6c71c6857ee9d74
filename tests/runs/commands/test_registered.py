"""`metabalance promote`, and pairs that MLflow has registered in the place of a folder."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hierarchy import experiment
from hierarchy.config import ExperimentConfig
from hierarchy.storage.bundle import is_bundle
from hierarchy.storage.saved import read_saved
from hierarchy.tracking.history import last_run
from hierarchy.tracking.mlflow_store import STORE_VARIABLE, open_store, store_uri
from hierarchy.tracking.progress import Silent
from runs.cli import main

Capture = pytest.CaptureFixture[str]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def two(tiny_config: ExperimentConfig, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two experiments in one store, with code of somebody else beside their bundles."""
    root = tmp_path_factory.mktemp("registered") / "runs" / "out"
    root.mkdir(parents=True)
    shutil.copy(empty_store, root)
    for seed in (0, 1):
        config = dataclasses.replace(tiny_config, seed=seed)
        experiment.train(experiment.Experiment(config, root / f"run-{seed}", "tiny", Silent()))
    for path in root.glob("mlartifacts/**/served.py"):
        path.write_text(f"open({str(root.parents[1] / 'ran')!r}, 'w')\n")
    return [root / f"run-{seed}" for seed in (0, 1)]


@pytest.fixture
def _there(two: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """From anywhere, by the address of the store."""
    monkeypatch.setenv(STORE_VARIABLE, store_uri(two[0].parent))


@pytest.fixture
def printed(two: list[Path], capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs a command that must be fine, where `runs/out` is the folder of both; returns what it prints."""
    monkeypatch.chdir(two[0].parents[2])

    def run_printed(*arguments: object) -> list[str]:
        capsys.readouterr()
        assert run(*arguments) == 0
        return capsys.readouterr().out.splitlines()

    return run_printed


def objective(path: Path) -> float:
    mean: float = json.loads(path.read_text())["arms"]["learned"]["objective"]["mean"]
    return mean


@pytest.mark.slow
def test_a_pair_is_promoted_and_evaluated_by_its_name(
    two: list[Path], printed: Callable[..., list[str]], tmp_path: Path
) -> None:
    first, second = two
    assert printed("promote", first) == ["models:/metabalance@champion is version 1"]
    for address, folder in (("@champion", first), ("/latest", second)):
        printed("evaluate", f"models:/metabalance{address}", "--json", tmp_path / "found.json")
        assert objective(tmp_path / "found.json") == objective(folder / "results.json")
    assert objective(first / "results.json") != objective(second / "results.json")
    assert printed("promote", second) == ["models:/metabalance@champion is version 2"]
    champion = open_store(store_uri(first.parent)).get_model_version_by_alias("metabalance", "champion")
    assert (champion.version, champion.aliases) == (2, ["champion"])
    assert [path.name for path in first.parents[2].iterdir()] == ["runs"], (
        "no code was run, and MLflow has no store of its own"
    )
    again = ["--out", tmp_path / "again", "--tracking.enabled", "false"]
    printed("train-lower", "--from", "models:/metabalance@champion", *again)
    begun_from = read_saved(tmp_path / "again" / "lower.safetensors").description["begun_from"]
    assert (begun_from["seed"], begun_from["mlflow_run"]) == (1, last_run(second))
    printed("export", "models:/metabalance@champion", "--to", tmp_path / "bundle")
    assert is_bundle(tmp_path / "bundle")


@pytest.mark.usefixtures("_there")
def test_a_bundle_that_was_changed_is_refused(refused: Callable[..., str], two: list[Path]) -> None:
    whole = {path: path.read_bytes() for path in two[0].parent.glob("mlartifacts/**/lower.safetensors")}
    for path, data in whole.items():
        path.write_bytes(data[:-1] + b"x")
    assert "bundle.json must be a bundle that can be read" in refused("evaluate", "models:/metabalance/1")
    for path, data in whole.items():
        path.write_bytes(data)


@pytest.mark.usefixtures("_there")
@pytest.mark.parametrize("address", ["@none", "/7", "/0", "_not/latest", "_not@champion"])
def test_a_version_that_is_not_there_is_refused(refused: Callable[..., str], address: str) -> None:
    asked = f"models:/metabalance{address}"
    assert refused("evaluate", asked).startswith("folder must be a model that is registered in sqlite:///")


@pytest.mark.parametrize(
    "address", ["models:/", "models:/a", "models:/a/b", "models:/a@b@c", "models:/a'/1", "models:/a/-1"]
)
def test_an_address_that_is_none_is_refused(refused: Callable[..., str], address: str) -> None:
    assert refused("evaluate", address).startswith("folder must be models:/NAME@ALIAS, models:/NAME/VERSION or ")


def test_a_store_that_is_not_there_is_refused(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = f"{STORE_VARIABLE} must be a store that answers, got "
    missing = f"{STORE_VARIABLE} must be set where the store is not beside the output folders, got no sqlite:///"
    assert refused("evaluate", "models:/metabalance@champion").startswith(missing)
    monkeypatch.setenv(STORE_VARIABLE, "http://me:secret@127.0.0.1:9")
    assert refused("evaluate", "models:/metabalance@champion") == f"{allowed}http://***@127.0.0.1:9"


def test_what_is_not_registered_can_not_be_promoted(
    tiny_settings: Path, out_root: Path, refused: Callable[..., str], capsys: Capture
) -> None:
    lower, away = out_root / "lower", out_root / "away"
    assert run("train-lower", "--config", tiny_settings, "--out", lower) == 0
    capsys.readouterr()
    assert refused("promote", out_root / "nothing").startswith("folder must be one that holds journal.jsonl")
    assert refused("promote", lower).startswith("folder must be one whose pair is registered in sqlite:///")
    shutil.copytree(lower, away)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORE_VARIABLE, "http://127.0.0.1:9")
        (away / "delivered.json").unlink()
        assert refused("promote", away).startswith("folder must be one that MLflow has all figures of")


@pytest.mark.usefixtures("_there")
def test_a_model_without_a_bundle_is_refused(two: list[Path], refused: Callable[..., str]) -> None:
    client = open_store(store_uri(two[0].parent))
    client.create_registered_model("other")
    client.create_model_version("other", (two[0].parent / "mlartifacts").as_uri())
    assert (
        refused("evaluate", "models:/other/1")
        == "folder must be a registered model that holds a bundle, got models:/other/1"
    )


def test_the_copy_of_a_folder_is_not_promoted_in_a_store_that_is_not_there(
    two: list[Path], refused: Callable[..., str], tmp_path: Path
) -> None:
    shutil.copytree(two[0], tmp_path / "elsewhere" / "copy")
    assert refused("promote", tmp_path / "elsewhere" / "copy").startswith(f"{STORE_VARIABLE} must be set where")
    shutil.copytree(two[0], tmp_path / "study" / "seed-0")
    assert "one training seed of several" in refused("promote", tmp_path / "study")


@pytest.mark.parametrize("command", ["promote", "sync", "explain", "study front", "resume", "report"])
def test_other_commands_take_folders(refused: Callable[..., str], command: str) -> None:
    said = refused(*command.split(), "models:/metabalance/1")
    taking = "evaluate, export, serve, train-lower, train-upper"
    assert said == f"folder must be a folder (a registered pair is for {taking}), got models:/metabalance/1"
