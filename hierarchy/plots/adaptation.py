"""How fast agents take on another objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.plots.figure import pyplot, save
from hierarchy.plots.style import LEARNED, Line, arm_style, draw_lines

ARMS = (LEARNED, "flat")


def plot_adaptation(changes: dict[str, Any], path: Path) -> Path:
    """Objective against simulated steps since the change, a panel per change.

    Thin lines are training seeds, marked where they have come above their target for good.
    """
    figure, panels = pyplot().subplots(
        1, len(changes), figsize=(4.6 * len(changes), 3.6), constrained_layout=True, squeeze=False
    )
    for panel, (change, one) in zip(panels[0], changes.items(), strict=True):
        lines = []
        for arm in ARMS:
            style = arm_style(arm)
            steps = np.array(one["per_seed"][0][arm]["lower_steps"])
            of_seeds = [seed[arm] for seed in one["per_seed"]]
            values = np.array([seed["values"] for seed in of_seeds])
            for row in values:
                panel.plot(steps, row, color=style.colour, linestyle=style.dashes, linewidth=0.6, alpha=0.35)
            for reached in (seed["reached"] for seed in of_seeds if seed["reached"] is not None):
                place = reached["lower_steps"], reached["values"]
                panel.plot(*place, style.marker, color=style.colour, markersize=9.0, fillstyle="none", zorder=4)
            lines.append(Line(arm, steps, values.mean(0), style))
        draw_lines(panel, lines)
        there = ", ".join(f"{arm} {one['arms'][arm]['n_reached']} of {one['arms'][arm]['n']}" for arm in ARMS)
        panel.set_title(f"{change}\nabove the target: {there}", fontsize="medium")
        panel.set_xlabel("lower steps since the change")
        panel.set_ylabel("objective on selection seeds ($/h)")
        panel.grid(color="0.9")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(ARMS), frameon=False)
    return save(figure, path)
