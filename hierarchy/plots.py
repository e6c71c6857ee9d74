"""Pictures of an experiment, readable in black and white."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.results import Results, ranked

MARKERS = ("o", "s", "^", "D", "v")


def new_figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its axes, in inches, drawn without a display."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), constrained_layout=True)


def save(figure: Any, path: Path) -> Path:
    """Write a figure and close it."""
    from matplotlib import pyplot

    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path


def plot_arms(results: Results, objective_label: str, path: Path) -> Path:
    """Mean objective of every arm with its 95 % interval, best on top; arms of the hierarchy are filled."""
    arms = ranked(results)[::-1]
    figure, axes = new_figure(7.5, 0.32 * len(arms) + 1.0)
    for row, (name, arm) in enumerate(arms):
        mean, (low, high) = arm["objective"]["mean"], arm["objective"]["ci95"]
        face = "black" if name == "td3" else "0.6" if arm["context"] is not None else "white"
        axes.plot([low, high], [row, row], color="black", linewidth=1.2)
        axes.plot(mean, row, "o", color="black", markerfacecolor=face, markersize=7)
    axes.set_yticks(range(len(arms)), [name for name, _ in arms])
    axes.set_xlabel(f"{objective_label}, mean and 95 % interval over evaluation seeds")
    axes.grid(axis="x", color="0.85")
    return save(figure, path)


def plot_contexts(contexts: NDArray[np.float64], term_names: tuple[str, ...], window_s: float, path: Path) -> Path:
    """The context that an arm set over one episode, ``contexts (n_windows, k)``."""
    figure, axes = new_figure(7.5, 2.8)
    time_s = np.arange(len(contexts)) * window_s
    for index, name in enumerate(term_names):
        line_style = ("-", "--", ":", "-.")[index % 4]
        axes.step(time_s, contexts[:, index], where="post", color="black", linestyle=line_style, label=name)
    axes.set_xlabel("time in the episode (s)")
    axes.set_ylabel("weight in the mix (1)")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper right", ncols=len(term_names))
    return save(figure, path)


def plot_curve(x: NDArray[np.float64], rows: dict[str, NDArray[np.float64]], x_label: str, path: Path) -> Path:
    """Several quantities over one axis, each ``(n_seeds, n_points)`` in a panel with its mean and 95 % range of seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(rows), figsize=(4.2 * len(rows), 3.0), constrained_layout=True)
    for panel, marker, (label, values) in zip(np.atleast_1d(panels), MARKERS, rows.items(), strict=False):
        low, high = np.quantile(values, [0.025, 0.975], axis=0)
        panel.fill_between(x, low, high, color="0.85")
        panel.plot(x, values.mean(0), color="black", marker=marker, markersize=5)
        panel.set_xlabel(x_label)
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
    return save(figure, path)
