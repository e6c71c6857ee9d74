"""What panes say, and that they fit."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hierarchy.live.health import Health
from runs.terminal import panes
from tests.hierarchy.live.told import DRAINED, SUBJECT, WINDOW, Source, report

BLOCKS = panes.EIGHTHS.strip()


def state(*reports: Any) -> dict[str, Any]:
    health = Health(SUBJECT, Source(log_age_s=0.1), 5)  # type: ignore[arg-type]
    for one in reports:
        health.observe(one)
    return json.loads(json.dumps(health.state()))  # type: ignore[no-any-return]


def text(renderable: Any, width: int = 76) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@given(st.floats(0, 1), st.integers(0, 60))
def test_a_bar_is_as_wide_as_it_is_asked_for_and_as_full_as_its_share(share: float, width: int) -> None:
    drawn = panes.bar(share, width)
    assert len(drawn) == width
    assert abs(drawn.count("█") - share * width) <= 1


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "never"), (0.24, "0.2 s"), (61.0, "1 min"), (3600.0, "1 h 00 min"), (7_500.0, "2 h 05 min")]
)
def test_ages(seconds: float | None, said: str) -> None:
    assert panes.age(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"), [(1.5, "1.50"), (0.0, "0.00"), (-1234.5, "-1,234"), (12.34, "12.3"), (0.01234, "0.0123"), (None, "-")]
)
def test_numbers(value: float | None, said: str) -> None:
    assert panes.number(value) == said


def test_a_line_of_values_is_between_the_least_and_the_largest() -> None:
    assert panes.spark([1.0, None, 8.0, 4.5], 10) == "▁█▅"
    assert panes.spark([1.0, 2.0, 3.0], 2) == "▁█"
    assert panes.spark([2.0, 2.0], 9) == "▁▁"
    assert panes.spark([], 9) == ""


def test_servers_have_their_health_and_weights() -> None:
    head, first, second = text(panes.servers(state(report(1)), 76)).splitlines()
    assert head.split() == ["server", "health", "web_interactive", "web_batch", "in", "flight"]
    assert "".join(one for one in first if one not in BLOCKS).split() == ["s1", "up", "256", "64", "3", "+", "1"]
    assert "".join(one for one in second if one not in BLOCKS).split() == ["s2", "maint", "128", "0", "0", "+", "2"]
    assert first.count("█") == pytest.approx(second.count("█") * 320 / 128, abs=2)


@pytest.mark.parametrize("width", [40, 60, 76, 116])
def test_a_row_of_servers_is_a_line(width: int) -> None:
    assert text(panes.servers(state(report(1)), width), width).count("\n") == 3


def test_weights_that_are_not_known_are_said_to_be() -> None:
    assert "?" in text(panes.servers(state(report(1, weights=None, held_because="no answer")), 76))


def test_the_mix_and_the_window() -> None:
    found = state(report(1, WINDOW))
    assert [row.split()[:2] for row in text(panes.mix(found, 30)).splitlines()] == [
        ["fairness", "0.20"],
        ["latency", "0.50"],
        ["cost", "0.30"],
    ]
    objective, on_time, late, cost = text(panes.window(found, 50)).splitlines()
    assert objective.startswith("profit 1.50 $/h")
    assert on_time.split() == ["on", "time", "interactive", "75", "%,", "batch", "100", "%"]
    assert late.split() == ["p95", "ms", "interactive", "110,", "batch", "900"]
    assert "0.300 $/h" in cost
    assert text(panes.window(state(report(1)), 50)) == "no window has ended yet\n"


def test_decisions_are_there_newest_first_with_what_was_in_the_way() -> None:
    found = state(report(1), report(2, interventions=(DRAINED, DRAINED)), report(3, held_because="no answer"))
    assert [row.split(None, 4)[1::3] for row in text(panes.decisions(found, 9)).splitlines()] == [
        ["3", "held: no answer"],
        ["2", "in service 2"],
        ["1", "as decided"],
    ]
    assert text(panes.decisions(found, 2)).count("\n") == 2


def test_it_says_whether_it_steers() -> None:
    assert text(panes.status(state(report(1)))).startswith(" ready   step 1, 0.0 s ago")
    assert text(panes.status(state(report(1, held_because="no answer")))).startswith(
        " NOT READY: weights are held: no answer"
    )
    assert text(panes.status(state())).startswith(" NOT READY: no step has ended yet   HAProxy 0.2 s")
    found = state(report(1))
    assert "writes weights" in text(panes.title(found))
    assert "writes nothing" in text(panes.title({**found, "applies": False}))


def test_a_terminal_is_told_nothing_but_text() -> None:
    found = state(report(1, held_because="no \x1b[31m\nanswer"))
    found["servers"][0], found["pair"] = "s\x1b[2J", "a\x07b"
    said = "".join(map(text, (panes.title(found), panes.status(found), panes.servers(found, 76), panes.decisions(found, 5))))
    assert said.replace("\n", "").isprintable()
