"""Scaling curves, readable in black and white."""

from __future__ import annotations

from pathlib import Path

from hierarchy.plots.figure import MARKERS, new_figure, save
from runs.benchmarks.plan import Drawn


def plot_drawn(drawn: Drawn, path: Path) -> Path:
    """All lines of a curve on logarithmic axes."""
    figure, axes = new_figure(4.6, 3.2)
    for line, marker in zip(drawn.lines, MARKERS, strict=False):
        axes.plot(line.x, line.y, color="black", marker=marker, markersize=5, label=line.name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(drawn.lines[0].x, [f"{x:,}" for x in drawn.lines[0].x])
    axes.set_xlabel(drawn.x_label)
    axes.set_ylabel(drawn.y_label)
    axes.set_ylim(bottom=0)
    axes.grid(color="0.85")
    if len(drawn.lines) > 1:
        axes.legend()
    return save(figure, path)
