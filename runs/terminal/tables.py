"""Results and benchmark reports as tables on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from hierarchy.evidence.results import BEST_RULE, OURS, why_no_gap
from hierarchy.evidence.tables import table as arms_table
from runs.report.section import verdict

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results
    from runs.benchmarks.plan import Figure, Report

COMPARED = tuple(
    f"learned_vs_{name}"
    for name in ("best_rule", "fixed_equal", "fixed_best", "tuned_static", "random", "flat", "best_constant")
)
"""Comparisons below the table: what the experiment is about."""


def wide_console() -> Console:
    """Standard output, wide enough for a table where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 140)


def print_results(results: Results, console: Console) -> None:
    """All arms, best first, then the comparisons that the experiment is about."""
    headings, *rows = arms_table(results)
    seeds = results["training_seeds"]
    trained = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} training seeds from {seeds[0]} on"
    table = Table(title=f"arms of preset {results['preset']}, {trained}", box=box.SIMPLE, padding=(0, 1, 0, 0))
    for column, heading in enumerate(headings):
        of_text = heading in (headings[0], headings[-1])
        folds = 2 < column < len(headings) - 2
        table.add_column(heading, justify="left" if of_text else "right", no_wrap=not folds)
    for row in rows:
        table.add_row(*row, style="bold" if row[0] == "learned" else None)
    console.print(table)
    for name in COMPARED:
        compared = results["comparisons"].get(name)
        if compared is None:
            continue
        low, high = compared["ci95"]
        percent = "" if compared["percent"] is None else f" ({compared['percent']:+.1f} %)"
        rival = f" ({compared['rival']})" if name == f"{OURS}_vs_{BEST_RULE}" else ""
        told = f"{name}{rival}: {compared['difference']:+.4f}{percent}, 95 % interval {low:+.4f} to {high:+.4f}"
        console.print(told + (f", {verdict(results)}" if rival else ""), highlight=False)
    gap = results["gap_closed"]
    if gap is None:
        console.print(f"gap_closed: none, {why_no_gap(results)}")
    else:
        low, high = gap["ci95"]
        console.print(f"gap_closed: {gap['mean']:.2f}, 95 % interval {low:.2f} to {high:.2f}", highlight=False)


def print_rows(title: str, rows: list[list[str]], console: Console) -> None:
    """A table of text below a row of headings."""
    table = Table(title=title)
    for column, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if column else "left")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def print_report(report: Report, name: str, console: Console) -> None:
    """What was measured, the ratios, the curves and whether simulators agree."""
    console.print(_figures(f"bench {name}", report.cases))
    if report.ratios:
        console.print(_figures("ratios of medians; the spread is over rounds", report.ratios))
    for drawn in report.curves:
        table = Table("", *(f"{x:,}" for x in drawn.lines[0].x), title=f"{drawn.y_label} against {drawn.x_label}")
        for line in drawn.lines:
            table.add_row(line.name, *(f"{y:,.4g}" for y in line.y))
        console.print(table)
    for agreed in report.agreements:
        low, high = agreed.ci95
        verdict = "agree" if agreed.agree else "DISAGREE"
        console.print(
            f"{agreed.name}: {agreed.ours:.2f} and {agreed.theirs:.2f} {agreed.unit}, difference {agreed.difference:+.2f}, "
            f"95 % interval {low:+.2f} to {high:+.2f}: {verdict}",
            highlight=False,
        )


def _figures(title: str, figures: list[Figure]) -> Table:
    table = Table(title=title)
    table.add_column("what")
    for heading in ("median", "lowest", "highest", "unit", "target", ""):
        table.add_column(heading, justify="right")
    for figure in figures:
        verdict = "" if figure.met is None else "met" if figure.met else "MISSED"
        shown = (f"{value:,.4g}" if value < 1000 else f"{value:,.0f}" for value in (figure.median, figure.low, figure.high))
        table.add_row(figure.name, *shown, figure.unit, figure.target or "", verdict)
    return table
