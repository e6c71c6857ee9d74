"""What a page or a terminal shows of results: tables with what to read in them, and captions of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hierarchy.evidence.arms import BEST_RULE, GATED, OURS, Compared
from hierarchy.evidence.results import Results, why_no_gap
from hierarchy.evidence.statistics import not_behind
from hierarchy.evidence.tables import compared_once
from hierarchy.plots.style import LEARNED


class Section(NamedTuple):
    """A table, with what to read in it; the row called ``ours`` is set off, and a ``listing`` stands below it as it is."""

    title: str
    text: str
    rows: list[list[str]]
    ours: str = ""
    listing: str = ""


class Caption(NamedTuple):
    """A picture that a study leaves in its folder."""

    file: str
    title: str
    text: str


def interval(results: Mapping[str, Any], key: str = "mean", digits: int = 3) -> str:
    """An estimate with its 95 % interval."""
    low, high = results["ci95"]
    return f"{results[key]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def verdict(results: Results, ours: str = OURS) -> str:
    """Whether an arm is shown not to be behind the best rule, or did the same in every episode."""
    compared = results["comparisons"][f"{ours}_vs_{BEST_RULE}"]
    if compared["ci95"] == [0.0, 0.0]:
        return "the same"
    rival = results["arms"][compared["rival"]]
    assert rival is not None
    return "not behind" if not_behind(compared, rival["objective"]["mean"]) else "not behind: not shown"


def comparisons(results: Results) -> list[list[str]]:
    """The learned mix against the best rule, then every other arm, largest difference first, as rows below headings.

    The gated arm against the best rule comes last.
    """
    rows = [["arm", "difference", "percent", "95 % t interval", "95 % bootstrap", "share of episodes better"]]
    for is_best_rule, one in compared_once(results):
        rows.append([f"best rule, {one['rival']}: {verdict(results)}" if is_best_rule else one["rival"], *_cells(one)])
    gated = results["comparisons"].get(f"{GATED}_vs_{BEST_RULE}")
    if gated is not None:
        rows.append([f"{GATED} against the best rule, {gated['rival']}: {verdict(results, GATED)}", *_cells(gated)])
    return rows


def _cells(compared: Compared) -> list[str]:
    low, high = compared["ci95"]
    beside = compared["bootstrap_ci95"]
    return [
        f"{compared['difference']:+.4f}",
        "-" if compared["percent"] is None else f"{compared['percent']:+.1f} %",
        f"{low:+.4f} to {high:+.4f}",
        "-" if beside is None else f"{beside[0]:+.4f} to {beside[1]:+.4f}",
        f"{compared['p_better']:.2f}",
    ]


def gap_text(results: Results) -> str:
    """What `gap_closed` is, or why there is none."""
    gap = results["gap_closed"]
    if gap is None:
        return f"gap_closed: none, {why_no_gap(results)}."
    got = f"the share of the delayed oracle's gain over the best fixed mix that {LEARNED} got"
    return f"gap_closed, {got}: {interval(dict(gap))}."
