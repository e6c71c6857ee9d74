"""What can be had together: the front of a contextual agent, with the rules beside it."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.plots.figure import drawn
from hierarchy.plots.style import KINDS

MARKERS = "^vds*p"
"""Of rules with numbers."""
CROSS = {"color": KINDS["rule"].colour, "marker": "x", "markersize": 7, "markeredgewidth": 1.6, "linestyle": "none"}


def _mark_rules(axes: Any, rules: dict[str, list[tuple[float, float, float]]]) -> None:
    """A numbered cross for every rule without numbers, and a small mark for every set of numbers of the others."""
    single = {name: points[0] for name, points in rules.items() if len(points) == 1}
    for number, (latency, cost, _) in enumerate(single.values(), start=1):
        axes.plot(latency, cost, **CROSS)
        axes.annotate(str(number), (latency, cost), xytext=(4, 3), textcoords="offset points", fontsize="small")
    names = ", ".join(f"{number} {name}" for number, name in enumerate(single, start=1))
    axes.plot([], [], **CROSS, label="\n".join(textwrap.wrap(f"balancing rule: {names}", 44)))
    several = {name: points for name, points in rules.items() if len(points) > 1}
    for (name, points), marker in zip(several.items(), MARKERS, strict=False):
        latency_ms, cost, _ = np.array(points).T
        axes.plot(latency_ms, cost, marker, color=CROSS["color"], markersize=3.5, alpha=0.7, label=f"{name}, other numbers")


def plot_front(front: dict[str, Any], path: Path) -> Path:
    """Latency against cost under every context, those on the front filled; the shade is unfairness.

    Rules are crosses, and small marks where they have numbers.
    """
    points, on_front = np.array(front["points"]), np.array(front["on_front"])
    shades = {"cmap": "Greys", "vmin": 0.0, "vmax": 1.0, "edgecolors": "black", "linewidths": 0.8}
    with drawn(path, 8.0, 4.8) as axes:
        axes.set_axisbelow(True)
        axes.grid(color="0.9")
        beaten = points[~on_front, :2].T
        axes.scatter(*beaten, s=18, facecolors="none", edgecolors="0.6", label="context, beaten in all three")
        first = points[on_front]
        shown = axes.scatter(*first[:, :2].T, s=42, c=first[:, 2], marker="s", label="context, on the front", **shades)
        _mark_rules(axes, front["rules"])
        axes.figure.colorbar(shown, label="unfairness, 1 - Jain's index (1)")
        axes.set_xscale("log")
        axes.set_xlabel("mean latency (ms)")
        axes.set_ylabel("cost ($/h)")
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return path
