"""What the upper agent sets over all episodes: over the simplex, and by regime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.core.arrays import FloatArray
from hierarchy.plots.figure import Labels, drawn, pyplot, save
from hierarchy.plots.style import MARKERS, shade

IntArray = NDArray[np.int64]


def plot_ternary(contexts: FloatArray, regimes: IntArray, labels: Labels, path: Path) -> Path:
    """Contexts ``(n, 3)`` on the simplex, marked by the regime ``(n,)`` that they were set in."""
    import mpltern  # noqa: F401  # registers the projection

    figure = pyplot().figure(figsize=(8.0, 4.8))
    axes = figure.add_subplot(projection="ternary")
    for index, name in enumerate(labels.regimes):
        points = contexts[regimes == index]
        if len(points):
            marker, colour = MARKERS[index % len(MARKERS)], shade(index)
            axes.scatter(
                *points.T,
                marker=marker,
                s=26,
                color=colour,
                edgecolors="black",
                linewidths=0.4,
                label=f"{index + 1}: {name}",
            )
    axes.set_tlabel(f"{labels.terms[0]} (1)")
    axes.set_llabel(f"{labels.terms[1]} (1)")
    axes.set_rlabel(f"{labels.terms[2]} (1)")
    axes.grid(color="0.9")
    axes.legend(loc="center left", bbox_to_anchor=(1.12, 0.5), fontsize="small", title="regime")
    figure.subplots_adjust(left=0.1, right=0.62, top=0.88, bottom=0.14)
    return save(figure, path)


def plot_by_regime(contexts: FloatArray, regimes: IntArray, labels: Labels, path: Path) -> Path:
    """Mean context in each regime as a heat map with its figures; ``contexts (n, k)``, ``regimes (n,)``."""
    rows = [contexts[regimes == index].mean(0) if (regimes == index).any() else None for index in range(len(labels.regimes))]
    table = np.array([np.full(contexts.shape[1], np.nan) if row is None else row for row in rows])
    with drawn(path, 6.0, 0.36 * len(table) + 1.2) as axes:
        image = axes.imshow(table, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            text = f"{value:.2f}" if np.isfinite(value) else "none"
            axes.text(column, row, text, ha="center", va="center", color="white" if value > 0.5 else "black")
        axes.set_yticks(range(len(table)), [f"{index + 1}: {name}" for index, name in enumerate(labels.regimes)])
        axes.set_xticks(range(table.shape[1]), labels.terms)
        axes.figure.colorbar(image, label="mean weight in the mix (1)")
    return path
