"""Regret of every arm in every world under every objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.plots.figure import drawn

MOST = 1.5
"""What is above is drawn in the darkest shade; 1 is what is lost with all servers on."""
DARK = 0.6
"""Shades from this share on have light figures."""


def plot_regret(suite: dict[str, Any], path: Path) -> Path:
    """A row an arm, the least regret on average first, a column a cell; darker is worse, and every field has its figure."""
    arms, cells = list(suite["aggregate"]), list(suite["cells"])
    regret = np.array([[np.mean(suite["cells"][cell]["regret"][arm]) for cell in cells] for arm in arms])
    with drawn(path, 2.6 + 0.42 * len(cells), 1.9 + 0.26 * len(arms)) as axes:
        axes.imshow(np.minimum(regret, MOST), cmap="Greys", vmin=0.0, vmax=MOST, aspect="auto")
        for (row, column), value in np.ndenumerate(regret):
            shade = "white" if value > DARK * MOST else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=shade)
        axes.set_xticks(range(len(cells)), cells, rotation=60, ha="right", fontsize="small")
        axes.set_yticks(range(len(arms)), arms, fontsize="small")
        axes.set_xlabel("world, objective")
        axes.set_title("regret, 0 for the best arm, 1 for all servers on", fontsize="medium")
    return path
