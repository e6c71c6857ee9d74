"""`metabalance calibrate`: settings from a log that can be trained with, and what is no such log is refused in one line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hierarchy.config import ExperimentConfig
from runs.calibration import fitting
from runs.cli import main
from runs.settings.experiment import load_config
from tests.runs.calibration.logs import BACKENDS, SPEED, served, write_log

Capture = pytest.CaptureFixture[str]
WHERE = ["--backends", json.dumps(list(BACKENDS)), "--servers", '["s1","s2"]']


@pytest.fixture(scope="module")
def root(untracked_config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two servers, `log`, and what is known of them, `base.yaml`."""
    root = tmp_path_factory.mktemp("calibrate")
    write_log(root / "log", served(3_000, 90.0, cores=(2, 1)))
    (root / "base.yaml").write_text(yaml.safe_dump(dataclasses.asdict(untracked_config)), encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def _few_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "N_RESAMPLED", 5)


def words(root: Path, *more: object) -> list[str]:
    return list(map(str, ["calibrate", root / "log", "--config", root / "base.yaml", *WHERE, *more]))


@pytest.fixture
def fitted(root: Path, tmp_path: Path, capsys: Capture) -> tuple[Path, dict[str, Any], str]:
    """The settings that are written, the figures and what is printed."""
    assert main(words(root, "--to", tmp_path / "fitted.yaml", "--json", tmp_path / "figures.json")) == 0
    return tmp_path / "fitted.yaml", json.loads((tmp_path / "figures.json").read_text()), capsys.readouterr().out


def test_it_says_what_is_fitted_and_what_is_not(fitted: tuple[Path, dict[str, Any], str]) -> None:
    path, figures, printed = fitted
    by_path = {one["path"]: one for one in figures["settings"]}
    assert by_path["pool.speed.1"]["fitted"] == pytest.approx(SPEED[1] / SPEED[0], rel=0.1)  # of a base that says 1 of s1
    assert figures["requests"]["in_log"] == 3_000
    assert {name: one["likeliest"] for name, one in figures["workers"].items()} == {"s1": 2, "s2": 1}
    for said in ("pool.speed of s2", "workload.batch.mean_work_s", "cores: given 2 1, likeliest 2 1", f"settings in {path}"):
        assert said in printed
    assert all(note in printed for note in figures["notes"])
    assert any(note.startswith("slow-downs: none found, not fitted") for note in figures["notes"])


def test_settings_are_those_of_the_base_but_for_what_is_fitted(
    fitted: tuple[Path, dict[str, Any], str], untracked_config: ExperimentConfig
) -> None:
    path, figures, _ = fitted
    before, after = dataclasses.asdict(untracked_config), yaml.safe_load(path.read_text())
    assert after.pop("preset") == "default"
    for one in figures["settings"]:
        *parents, last = one["path"].split(".")
        places = [before["env"], after["env"]]
        for name in parents:
            places = [place[name] for place in places]
        key = int(last) if last.isdigit() else last
        value = places[1][key]
        assert (value["source"] if last == "arrivals" else value) == one["fitted"]
        places[1][key] = places[0][key]
    assert after == before


@pytest.mark.slow
def test_what_is_written_can_be_trained_with(fitted: tuple[Path, dict[str, Any], str], tmp_path: Path) -> None:
    assert main(["train", "--config", str(fitted[0]), "--out", str(tmp_path / "out")]) == 0
    trained = dataclasses.asdict(load_config(tmp_path / "out").config)
    assert trained["env"] == yaml.safe_load(fitted[0].read_text())["env"]


def test_settings_may_be_json_and_of_a_reference(root: Path, tmp_path: Path) -> None:
    assert main(words(root, "--to", tmp_path / "fitted.json", "--reference", "s2")) == 0
    assert json.loads((tmp_path / "fitted.json").read_text())["env"]["pool"]["speed"] == pytest.approx([2.0, 1.0], rel=0.1)


REFUSED = {
    "no log": (["/nowhere/log"], "log must be a file that can be read, got /nowhere/log (No such file or directory)"),
    "backends": (["--backends", '["web"]'], "backends must be a backend of its own for each class (interactive, batch)"),
    "joint": (["--backends", '["web","web"]'], "backends must be a backend of its own for each class"),
    "other backends": (["--backends", '["a","b"]'], "log must be a file with requests of a, b, got"),
    "servers": (["--servers", '["s1"]'], "servers must be 2 names, as many as the pool has, got ['s1']"),
    "unknown server": (["--servers", '["s1","s9"]'], "servers must be those of the log, which has s2 in line"),
    "cores": (["--env.pool.cores", "[1,1]"], "env.pool.cores must be as many as serve at once: the log fits s1 with 2"),
    "reference": (["--reference", "s3"], "reference must be one of the servers (s1, s2), got s3"),
    "to": (["--to", "here"], "to must be a name that ends with one of .yaml, .yml, .json, got here"),
    "family": (["--env.family", "composed", "--env.factory", "x:make"], "env"),
    "setting": (["--env.pool.cores", "[0,1]"], "env.pool.cores must be >= 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_fitted_is_refused(root: Path, refused: Callable[..., str], name: str) -> None:
    more, said = REFUSED[name]
    arguments = words(root, *more)
    if not more[0].startswith("--"):
        arguments = ["calibrate", more[0], *arguments[2 : -len(more)]]
    assert refused(*arguments).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "which has none"),
        ("mb1 7 web_batch s1 200 -- 0 0 0 1 1\n", "log must be in the format 'mb2"),
        ("mb2 7 web_batch s1 200 -- 0 0 0 1 1 1795966617392711\n", "at least 100 requests whose service is known, got"),
    ],
)
def test_a_log_that_is_none_is_refused(
    root: Path, refused: Callable[..., str], tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "other").write_text(text)
    assert said in refused("calibrate", tmp_path / "other", *words(root)[2:])


def test_backends_must_be_named(refused: Callable[..., str], tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("")
    said = refused("calibrate", log, "--preset", "haproxy")
    assert said.endswith("backends must be a backend of its own for each class (interactive, batch), got []")
