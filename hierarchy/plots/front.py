"""What can be had together: the front of a contextual agent, with the rules beside it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.plots.figure import drawn


def plot_front(front: dict[str, Any], path: Path) -> Path:
    """Latency against cost under every context, those on the front filled; the shade is unfairness. Rules are crosses."""
    points, on_front = np.array(front["points"]), np.array(front["on_front"])
    with drawn(path, 7.5, 4.2) as axes:
        shades = {"cmap": "Greys", "vmin": 0.0, "vmax": 1.0, "edgecolors": "black", "linewidths": 0.8}
        axes.scatter(
            *points[~on_front, :2].T, s=18, facecolors="none", edgecolors="0.6", label="context, beaten in all three"
        )
        shown = axes.scatter(
            *points[on_front, :2].T, s=42, c=points[on_front, 2], marker="s", label="context, on the front", **shades
        )
        for number, (latency, cost, _) in enumerate(front["rules"].values(), start=1):
            axes.plot(latency, cost, "x", color="black", markersize=6)
            axes.annotate(str(number), (latency, cost), xytext=(4, 3), textcoords="offset points", fontsize="x-small")
        names = ", ".join(f"{number} {name}" for number, name in enumerate(front["rules"], start=1))
        axes.plot([], [], "x", color="black", label="\n".join(textwrap.wrap(f"balancing rule: {names}", 44)))
        axes.figure.colorbar(shown, label="unfairness, 1 - Jain's index (1)")
        axes.set_xscale("log")
        axes.set_xlabel("mean latency (ms)")
        axes.set_ylabel("cost ($/h)")
        axes.legend(fontsize="small")
        axes.grid(color="0.9")
    return path
