"""How upper agents follow a world that drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hierarchy.plots.figure import pyplot, save
from hierarchy.plots.style import Line, draw_lines, legend_beside, line_style


def plot_drift(curves: Mapping[str, Sequence[float]], hours: float, path: Path) -> Path:
    """Objective against hours, a line for each agent; its points are means of equal stretches."""
    figure, panel = pyplot().subplots(figsize=(8.4, 3.6), constrained_layout=True)
    lines = []
    for index, (name, values) in enumerate(curves.items()):
        middle = (np.arange(len(values)) + 0.5) * hours / len(values)
        lines.append(Line(name, middle, np.asarray(values), line_style(index)))
    draw_lines(panel, lines)
    panel.set_xlabel("hours")
    panel.set_ylabel("objective ($/h)")
    panel.grid(color="0.9")
    legend_beside(panel)
    return save(figure, path)
