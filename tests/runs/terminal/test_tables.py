"""Tables on the terminal say what the results say, and fit it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from hierarchy.evidence import tables
from hierarchy.evidence.arms import comparisons
from runs.report import section
from runs.terminal.tables import print_results
from tests.hierarchy.episodes import episodes, figures


def printed(results: Any, width: int = 140) -> str:
    screen = io.StringIO()
    print_results(results, Console(file=screen, width=width))
    return screen.getvalue()


def lines_of(text: str, name: str) -> list[str]:
    """Lines of the tables that begin with the name of an arm."""
    return [line for line in text.splitlines() if line.split()[:1] == [name]]


def test_the_table_has_every_arm_in_order(trained: Any) -> None:
    names = [row[0] for row in tables.table(trained.results)[1:]]
    first = [line.split()[0] for line in printed(trained.results).splitlines() if line.split()]
    assert [word for word in first if word in names] == names


@pytest.mark.parametrize("width", [80, 100, 140])
def test_every_figure_is_shown_in_lines_that_fit(trained: Any, width: int) -> None:
    text = printed(trained.results, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in tables.table(trained.results)[1:]:
        lines = lines_of(text, row[0])
        assert len(lines) == (1 if width == 140 else 2)
        for cell in row:
            assert any(cell in line for line in lines), (row[0], cell)


def test_headings_are_short_and_say_which_class(trained: Any) -> None:
    text = printed(trained.results)
    head = text[: text.index(tables.table(trained.results)[1][0])]
    for word in ("objective", "knows", "mix", "ms", "$/h", "late %", "lost %", "inter", "batch"):
        assert word in head
    assert "interactive" not in head
    assert "_share" not in head


def test_it_is_told_what_the_gated_arm_took_and_how_it_compares_with_the_best_rule(trained: Any) -> None:
    lines = printed(trained.results).splitlines()
    taken, best = (trained.results["found"]["gate"]["name"], trained.results["comparisons"]["gated_vs_best_rule"]["rival"])
    assert f"gated: took {taken}" in lines
    [told] = (line for line in lines if line.startswith("gated_vs_"))
    assert told.startswith(f"gated_vs_best_rule ({best}): ")
    assert told.endswith(section.verdict(trained.results, "gated"))


def test_who_did_what_the_best_rule_did_is_the_same() -> None:
    """No interval is left to be above anything."""
    arms = figures(learned=episodes([2.0, 3.0]), gated=episodes([1.0, 2.0]), sed=episodes([1.0, 2.0]))
    found: Any = {"arms": arms, "comparisons": comparisons([arms])}
    assert section.verdict(found, "gated") == "the same"
    assert section.verdict(found) == "not behind: not shown", "no spread of the difference either, but there is one"


@pytest.mark.parametrize(
    ("gap", "words"),
    [(None, "gap_closed: none"), ({"mean": 0.5, "ci95": [0.25, 0.75]}, "gap_closed: 0.50, 95 % interval 0.25")],
)
def test_the_gap_is_shown_or_said_to_be_none(trained: Any, gap: Any, words: str) -> None:
    assert words in printed({**trained.results, "gap_closed": gap})


def compared(rival: str, difference: float, low: float, percent: float | None = 10.0) -> dict[str, Any]:
    return {"rival": rival, "difference": difference, "percent": percent, "ci95": [low, 1.5], "bootstrap_ci95": None}


def test_a_comparison_without_a_percentage_is_shown_without_one(trained: Any) -> None:
    names = ("fixed_equal", "fixed_best")
    given = {f"learned_vs_{name}": compared(name, 1.0, 0.5, None) for name in names}
    text = printed({**trained.results, "comparisons": given})
    assert "learned_vs_fixed_best: +1.0000, 95 % interval +0.5000 to +1.5000" in text


@pytest.mark.parametrize(("low", "words"), [(1.0, ", not behind"), (-1e9, ", not behind: not shown")])
def test_the_best_rule_comes_first_with_a_verdict(trained: Any, low: float, words: str) -> None:
    given = {"learned_vs_fixed_equal": compared("fixed_equal", 1.0, 0.5), "learned_vs_best_rule": compared("sed", 1.0, low)}
    text = printed({**trained.results, "comparisons": given})
    first, second = (line for line in text.splitlines() if line.startswith("learned_vs_"))
    assert first.startswith("learned_vs_best_rule (sed): +1.0000 (+10.0 %)")
    assert first.endswith(words)
    assert "behind" not in second
