"""How fast agents take on another objective."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.plots.figure import pyplot, save


def plot_adaptation(found: dict[str, Any], path: Path) -> Path:
    """Objective against simulated steps since the change, a panel per change: the mean of all training seeds before each."""
    figure, panels = pyplot().subplots(
        1, len(found), figsize=(4.6 * len(found), 3.4), constrained_layout=True, squeeze=False
    )
    for panel, (change, one) in zip(panels[0], found.items(), strict=True):
        for arm, line in (("learned", "-"), ("flat", "--")):
            steps = np.array(one["per_seed"][0][arm]["lower_steps"])
            values = np.array([seed[arm]["values"] for seed in one["per_seed"]])
            for row in values:
                panel.plot(steps, row, color="0.8", linestyle=line, linewidth=0.7)
            panel.plot(steps, values.mean(0), color="black", linestyle=line, label=arm)
        panel.set_title(change, fontsize="medium")
        panel.set_xlabel("lower steps since the change")
        panel.set_ylabel("objective on selection seeds ($/h)")
        panel.legend(fontsize="small")
        panel.grid(color="0.9")
    return save(figure, path)
