"""Scaling curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hierarchy.plots.figure import new_figure, save
from hierarchy.plots.style import draw_lines, legend_beside, numbered
from runs.benchmarks.plan import Drawn


def plot_drawn(drawn: Drawn, path: Path) -> Path:
    """All lines of a curve over a logarithmic axis."""
    several = len(drawn.lines) > 1
    figure, axes = new_figure(6.4 if several else 4.6, 3.2)
    axes.set_xscale("log", base=2)
    rows = {line.name: np.array(line.y) for line in drawn.lines}
    draw_lines(axes, numbered(np.array(drawn.lines[0].x), rows), markevery=None)
    axes.set_xticks(drawn.lines[0].x, [f"{x:,}" for x in drawn.lines[0].x])
    axes.set_xlabel(drawn.x_label)
    axes.set_ylabel(drawn.y_label)
    axes.set_ylim(bottom=0)
    axes.grid(color="0.85")
    if several:
        legend_beside(axes)
    return save(figure, path)
