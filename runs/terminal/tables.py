"""Results and benchmark reports as tables on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from hierarchy.evidence.arms import BEST_RULE, GATED, OURS
from hierarchy.evidence.gate import gate_text
from hierarchy.evidence.results import why_no_gap
from hierarchy.evidence.tables import N_AFTER_METRICS, N_BEFORE_METRICS
from hierarchy.evidence.tables import table as arms_table
from runs.report.section import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hierarchy.evidence.results import Results
    from runs.benchmarks.plan import Figure, Report

COMPARED = tuple(
    f"learned_vs_{name}"
    for name in ("best_rule", "gated", "fixed_equal", "fixed_best", "tuned_static", "random", "flat", "best_constant")
)
AGAINST_BEST_RULE = {f"{name}_vs_{BEST_RULE}": name for name in (OURS, GATED)}
"""Comparisons with the best rule, and whose they are."""
"""Comparisons below the table: what the experiment is about."""

OF_TEXT = ("arm", "knows")
"""Columns of the table of arms that hold words."""
WIDEST = 1_000
"""Wider than any table."""


def wide_console() -> Console:
    """Standard output, wide enough for a table where it is not a terminal."""
    return Console(width=None if sys.stdout.isatty() else 140)


def _arms(rows: list[list[str]], columns: Iterable[int], title: str | None = None) -> Table:
    """Some columns of the table of arms, as narrow as they can be: headings of figures fold before their last word."""
    headings, *arms = rows
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    chosen = list(columns)
    for column in chosen:
        heading, is_text = headings[column], headings[column] in OF_TEXT
        folded = heading if is_text else "\n".join(heading.rsplit(maxsplit=1))
        table.add_column(folded, justify="left" if is_text else "right", vertical="bottom", no_wrap=True)
    for row in arms:
        table.add_row(*(row[column] for column in chosen), style="bold" if row[0] == OURS else None)
    return table


def arms_tables(rows: list[list[str]], title: str, console: Console) -> list[Table]:
    """The table of arms; on a narrow terminal metrics stand in a second one below it."""
    n_columns = len(rows[0])
    whole = _arms(rows, range(n_columns), title)
    if console.measure(whole, options=console.options.update(width=WIDEST)).maximum <= console.width:
        return [whole]
    metrics = range(N_BEFORE_METRICS, n_columns - N_AFTER_METRICS)
    others = (column for column in range(n_columns) if column not in metrics)
    return [_arms(rows, others, title), _arms(rows, (0, *metrics))]


def print_results(results: Results, console: Console) -> None:
    """All arms, headed by the best rule, then the comparisons that the experiment is about."""
    seeds = results["training_seeds"]
    trained = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} training seeds from {seeds[0]} on"
    for table in arms_tables(arms_table(results), f"arms of preset {results['preset']}, {trained}", console):
        console.print(table)
    if gate_text(results):
        console.print(gate_text(results), highlight=False)
    for name in dict.fromkeys((*COMPARED, *AGAINST_BEST_RULE)):
        compared = results["comparisons"].get(name)
        if compared is None:
            continue
        low, high = compared["ci95"]
        percent = "" if compared["percent"] is None else f" ({compared['percent']:+.1f} %)"
        ours = AGAINST_BEST_RULE.get(name)
        rival = f" ({compared['rival']})" if ours else ""
        told = f"{name}{rival}: {compared['difference']:+.4f}{percent}, 95 % interval {low:+.4f} to {high:+.4f}"
        console.print(told + (f", {verdict(results, ours)}" if ours else ""), highlight=False)
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
