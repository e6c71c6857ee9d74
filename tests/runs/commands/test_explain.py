"""`metabalance explain` tells of any recorded window, and refuses others in one line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import envs
from hierarchy.evidence.recordings import load_episodes
from hierarchy.explaining.moves import load_moves, move_of, recorded
from hierarchy.storage.agents import load_upper
from hierarchy.storage.folder import OutputFolder
from runs.cli import main
from runs.commands.explain import N_SHOWN


def explained(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> str:
    assert main(["explain", str(folder), *options]) == 0
    return capsys.readouterr().out


def test_any_window_of_any_episode_is_told_of(trained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    told = explained(capsys, trained.out, "--window", "2", "--episode", "1")
    actor, spec = load_upper(OutputFolder(trained.out), trained.config), envs.describe(trained.config.env)
    move = move_of(actor, spec, recorded(load_episodes(trained.out)["learned"], 1), 2, N_SHOWN)
    assert "window 2, episode 1" in told
    lines = {line.split("│")[1].strip(): line for line in told.splitlines() if line.startswith("│")}
    assert list(lines)[: len(move["parts"])] == [part["name"] for part in move["parts"]]
    for part in move["parts"]:
        assert all(f"{share:+.4f}" in lines[part["name"]] for share in part["share"])
    assert all(
        f"{after - before:+.4f}" in lines["together"] for before, after in zip(move["before"], move["after"], strict=True)
    )


def test_without_a_window_the_largest_move_is_told_of(
    trained: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = recorded(load_episodes(trained.out)["learned"]).largest
    assert f"window {largest}, episode 0" in explained(capsys, trained.out)
    other = 1 + largest % 3
    monkeypatch.setattr("hierarchy.explaining.moves.Recorded.largest", other)
    assert f"window {other}, episode 0" in explained(capsys, trained.out), "whichever it is"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--window", "4"], "window must be from 1 to 3, got 4"),
        (["--window", "0"], "window must be >= 1, got 0"),
        (["--episode", "3"], "episode must be from 0 to 2, got 3"),
    ],
)
def test_what_was_not_recorded_is_refused_in_one_line(
    trained: Any, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["explain", str(trained.out), *options]) == 2
    assert capsys.readouterr().err == f"metabalance: {words}\n"


def test_a_folder_without_recordings_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("metabalance: folder must be one that holds episodes.npz")
    assert error.count("\n") == 1


def test_the_page_shows_the_largest_moves_first(trained: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(trained.out, folder)
    assert main(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    moves = load_moves(folder)
    assert moves is not None
    largest = max(
        moves["windows"], key=lambda move: sum(abs(a - b) for a, b in zip(move["after"], move["before"], strict=True))
    )
    table = page[page.index("What moved the mix") :]
    first = table[table.index("<tbody>") :][:600]
    assert f"<tbody><tr><td>{largest['window']}</td>" in first
    assert largest["parts"][0]["name"] in first
    OutputFolder(folder).moves.unlink()
    assert main(["report", str(folder)]) == 0
    assert "What moved the mix" not in (folder / "report.html").read_text(encoding="utf-8")
