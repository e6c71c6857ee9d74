"""What a sweep has found: how much each setting matters, and what the objective is along each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hierarchy.plots.figure import drawn, pyplot, save
from hierarchy.plots.style import BLUE, GREY, VERMILLION

N_COLUMNS = 3
"""Panels side by side."""
WHOLE = {"marker": "o", "s": 26, "color": BLUE, "edgecolors": "white", "linewidths": 0.5, "label": "complete"}
ENDED = {"marker": "x", "s": 22, "color": GREY, "linewidths": 1.2, "label": "ended early: its best candidate by then"}
BEST = {"marker": "D", "s": 60, "facecolors": "none", "edgecolors": VERMILLION, "linewidths": 1.6, "label": "best"}


class Slice(NamedTuple):
    """What one panel is of.

    Attributes
    ----------
    ticks
        Names of choices, which stand for 0, 1, ...; empty for a range of numbers.
    log
        Whether its axis is logarithmic.
    """

    name: str
    ticks: tuple[str, ...]
    log: bool


class Point(NamedTuple):
    """A trial: where it is on each slice, what it is worth, whether it was run to its end, and whether it is the best."""

    x: tuple[float, ...]
    objective: float
    is_complete: bool
    is_best: bool


def plot_importances(importances: Mapping[str, float], path: Path) -> Path:
    """A bar a setting, the most important on top."""
    names, shares = list(importances)[::-1], list(importances.values())[::-1]
    with drawn(path, 6.5, 1.0 + 0.32 * len(names)) as axes:
        axes.barh(names, shares, color=BLUE, height=0.6)
        for place, share in enumerate(shares):
            axes.annotate(
                f"{share:.2f}", (share, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize="small"
            )
        axes.set_xlim(0.0, 1.1 * max(shares))
        axes.set_xlabel("share of the objective's variance (1)")
        axes.spines[["top", "right"]].set_visible(False)
    return path


def plot_slices(slices: Sequence[Slice], points: Sequence[Point], objective: str, path: Path) -> Path:
    """A panel a setting, a mark a trial."""
    n_columns = min(N_COLUMNS, len(slices))
    n_rows = math.ceil(len(slices) / n_columns)
    size = (max(5.6, 3.1 * n_columns), 0.7 + 2.5 * n_rows)
    figure, panels = pyplot().subplots(n_rows, n_columns, figsize=size, sharey=True, squeeze=False, constrained_layout=True)
    for place, panel in enumerate(panels.flat):
        if place >= len(slices):
            panel.set_axis_off()
            continue
        _draw_slice(panel, slices[place], place, points)
    for row in panels:
        row[0].set_ylabel(objective)
    labelled = dict(zip(*reversed(panels[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(labelled.values(), labelled, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return save(figure, path)


def _draw_slice(panel: Any, shown: Slice, place: int, points: Sequence[Point]) -> None:
    panel.set_axisbelow(True)
    panel.grid(color="0.9")
    kinds = (
        (ENDED, [one for one in points if not one.is_complete]),
        (WHOLE, [one for one in points if one.is_complete]),
        (BEST, [one for one in points if one.is_best]),
    )
    for style, of_kind in kinds:
        if of_kind:
            panel.scatter([one.x[place] for one in of_kind], [one.objective for one in of_kind], **style)
    if shown.ticks:
        panel.set_xticks(range(len(shown.ticks)), shown.ticks)
        panel.set_xlim(-0.5, len(shown.ticks) - 0.5)
    elif shown.log:
        panel.set_xscale("log")
    panel.set_xlabel(shown.name)
