"""A benchmark prints, writes and tracks the same figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hierarchy.tracking.mlflow_store import open_store, store_uri
from runs.cli import main
from runs.commands.bench import EXPERIMENT, metric_name

Capture = pytest.CaptureFixture[str]


def test_names_are_such_as_mlflow_takes() -> None:
    assert metric_name("ratio/1,024 servers / 4 servers: x") == "ratio/1024 servers over 4 servers: x"


SMALL = {"world": 0.02, "upper": 0.02, "serve": 0.01}


@pytest.mark.slow
@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_prints_writes_and_tracks_the_same(name: str, tmp_path: Path, capsys: Capture) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy.json"
    scale = str(SMALL[name])
    assert main(["bench", name, "--rounds", "1", "--scale", scale, "--out", str(out), "--json", str(copy)]) == 0
    report = json.loads(copy.read_text())
    assert report == json.loads((out / "bench" / f"{name}.json").read_text())
    assert report["benchmark"] == name
    assert all(figure["median"] > 0 for figure in [*report["cases"], *report["ratios"]])
    printed = capsys.readouterr().out
    for figure in report["cases"]:
        assert figure["name"].split(":")[0] in printed
    client = open_store(store_uri(out))
    (tracked,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert tracked.info.status == "FINISHED"
    for kind, figures in (("case", report["cases"]), ("ratio", report["ratios"])):
        for figure in figures:
            assert tracked.data.metrics[metric_name(f"{kind}/{figure['name']}")] == pytest.approx(figure["median"])
    for drawn in report["curves"]:
        assert (out / "bench" / f"{drawn['name']}.png").stat().st_size > 1000
        for line in drawn["lines"]:
            history = client.get_metric_history(tracked.info.run_id, metric_name(f"{drawn['name']}/{line['name']}"))
            assert {point.step: point.value for point in history} == dict(zip(line["x"], line["y"], strict=True))


def test_a_benchmark_without_its_peers_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ciw", None)
    assert main(["bench", "world", "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "got world without ciw" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["name"]),
        (["speed"], ["name", "world", "speed"]),
        (["world", "--rounds", "0"], ["rounds", ">= 1", "0"]),
        (["world", "--scale", "-1"], ["scale", "> 0", "-1"]),
        (["world", "--threads", "many"], ["threads", "int", "many"]),
        (["world", "--json", "/"], ["json", "file", "/"]),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_in_one_line(
    arguments: list[str], words: list[str], capsys: Capture, tmp_path: Path
) -> None:
    assert main(["bench", *arguments, "--out", str(tmp_path / "out")]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "out").exists()
