"""What is noted of a recording: where a command starts, in the results and in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runs.cli import main
from tests.envs.load_balancing.recordings import table_lines, written

SHORT = "the part of the recording that evaluates lasts "


def noted(printed: str) -> list[str]:
    return [line.removeprefix("note: ") for line in printed.splitlines() if line.startswith("note: ")]


def test_a_short_rest_is_noted_in_the_terminal_the_results_and_the_report(
    tiny_settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = ["--env.workload.arrivals", "trace", "--env.workload.arrivals.path", str(written(tmp_path, table_lines(60)))]
    told = ["--env.workload.arrivals.class_column", "kind", "--env.workload.arrivals.interactive_values", "[chat]"]
    out = ["--out", str(tmp_path / "out"), "--tracking.enabled", "false"]
    assert main(["train", "--config", str(tiny_settings), "--env.dt_s", "5", *recording, *told, *out]) == 0
    (note,) = noted(capsys.readouterr().err)
    assert note.startswith(SHORT)
    assert json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["notes"] == [note]
    assert main(["report", str(tmp_path / "out")]) == 0
    assert note in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    capsys.readouterr()
    again = tmp_path / "evaluated.json"
    assert main(["evaluate", str(tmp_path / "out"), "--json", str(again), "--env.dt_s", "2.5"]) == 0
    (half,) = noted(capsys.readouterr().err)
    assert half.startswith(SHORT)
    assert half != note
    assert json.loads(again.read_text(encoding="utf-8"))["notes"] == [half]


def test_nothing_is_noted_without_a_recording(
    tiny_settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out"), "--tracking.enabled", "false"]
    assert main(["train-lower", "--config", str(tiny_settings), *out]) == 0
    assert noted(capsys.readouterr().err) == []
