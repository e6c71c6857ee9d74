"""Progress is a bar on a terminal and plain lines elsewhere."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from runs.terminal.progress import PlainProgress, TerminalProgress, progress


def told(terminal: bool) -> tuple[Any, io.StringIO]:
    screen = io.StringIO()
    return progress(Console(file=screen, force_terminal=terminal, width=120)), screen


def run_two_phases(shown: Any) -> None:
    shown.begin("phase 1", 1000, "steps")
    shown.advance(400)
    shown.advance(700)
    shown.begin("phase 2", 20, "meta steps")
    shown.advance(20)
    shown.end()


def test_off_a_terminal_every_phase_begins_and_ends_with_a_line() -> None:
    shown, screen = told(terminal=False)
    assert isinstance(shown, PlainProgress)
    run_two_phases(shown)
    lines = screen.getvalue().splitlines()
    assert [lines[0], lines[2]] == ["phase 1: 1,000 steps", "phase 2: 20 meta steps"]
    assert lines[1].startswith("phase 1: 1,100 of 1,000 steps, ")
    assert lines[3].startswith("phase 2: 20 of 20 meta steps, ")
    assert lines[1].endswith("/s, done")
    assert len(lines) == 4


@pytest.mark.parametrize("terminal", [False, True])
def test_a_warning_is_one_line_however_long(terminal: bool) -> None:
    shown, screen = told(terminal)
    shown.begin("phase 1", 1000, "steps")
    shown.warn("[red] " + "records wait " * 20)
    shown.close()
    assert "note: [red] " + "records wait " * 20 in screen.getvalue()


def test_off_a_terminal_a_line_now_and_then_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now_s[0])
    shown, screen = told(terminal=False)
    shown.begin("phase 1", 1000, "steps")
    for _ in range(8):
        now_s[0] += 4.0
        shown.advance(100)
    assert screen.getvalue().splitlines()[1:] == [
        "phase 1: 300 of 1,000 steps, 25/s, 28 s left",
        "phase 1: 600 of 1,000 steps, 25/s, 16 s left",
    ]


def test_on_a_terminal_bars_are_filled() -> None:
    shown, screen = told(terminal=True)
    assert isinstance(shown, TerminalProgress)
    run_two_phases(shown)
    last = screen.getvalue().splitlines()
    assert any("phase 1" in line and "100 %" in line for line in last)
    assert any("phase 2" in line and "100 %" in line for line in last)


def test_ending_what_never_began_shows_nothing() -> None:
    for terminal in (False, True):
        shown, screen = told(terminal)
        shown.end()
        assert "phase" not in screen.getvalue()
