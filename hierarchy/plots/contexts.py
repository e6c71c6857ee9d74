"""What the upper agent sets: over an episode, over the simplex, by regime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy.plots.figure import LINES, MARKERS, Labels, axis_label, drawn, line_style, pyplot, save

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def plot_contexts(contexts: FloatArray, labels: Labels, path: Path) -> Path:
    """The context that an arm set over one episode, ``contexts (n_windows, k)``."""
    with drawn(path, 7.5, 2.8) as axes:
        time_s = np.arange(len(contexts)) * labels.window_s
        for index, name in enumerate(labels.terms):
            line = LINES[index % len(LINES)]
            axes.step(time_s, contexts[:, index], where="post", color="black", linestyle=line, label=name)
        axes.set_xlabel("time in the episode (s)")
        axes.set_ylabel("weight in the mix (1)")
        axes.set_ylim(-0.02, 1.02)
        axes.legend(loc="upper right", ncols=len(labels.terms))
    return path


def plot_ternary(contexts: FloatArray, regimes: IntArray, labels: Labels, path: Path) -> Path:
    """Contexts ``(n, 3)`` on the simplex, marked by the regime ``(n,)`` that they were set in."""
    import mpltern  # noqa: F401  # registers the projection

    figure = pyplot().figure(figsize=(7.5, 5.0))
    axes = figure.add_subplot(projection="ternary")
    shades = pyplot().get_cmap("viridis", max(len(labels.regimes), 2))
    for index, name in enumerate(labels.regimes):
        points = contexts[regimes == index]
        if len(points):
            marker = MARKERS[index % len(MARKERS)]
            axes.scatter(*points.T, marker=marker, s=22, color=shades(index), edgecolors="black", linewidths=0.4, label=name)
    axes.set_tlabel(f"{labels.terms[0]} (1)")
    axes.set_llabel(f"{labels.terms[1]} (1)")
    axes.set_rlabel(f"{labels.terms[2]} (1)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), fontsize="x-small")
    figure.subplots_adjust(left=0.08, right=0.66)
    return save(figure, path)


def plot_by_regime(contexts: FloatArray, regimes: IntArray, labels: Labels, path: Path) -> Path:
    """Mean context in each regime as a heat map with its figures; ``contexts (n, k)``, ``regimes (n,)``."""
    rows = [contexts[regimes == index].mean(0) if (regimes == index).any() else None for index in range(len(labels.regimes))]
    table = np.array([np.full(contexts.shape[1], np.nan) if row is None else row for row in rows])
    with drawn(path, 6.0, 0.36 * len(table) + 1.2) as axes:
        image = axes.imshow(table, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.5 else "black")
        axes.set_yticks(range(len(table)), labels.regimes)
        axes.set_xticks(range(table.shape[1]), labels.terms)
        axes.figure.colorbar(image, label="mean weight in the mix (1)")
    return path


def _numbered(name: str, n: int) -> list[str]:
    """A name for each of ``n`` columns."""
    return [name] if n == 1 else [f"{name} {i}" for i in range(n)]


def plot_timeline(
    timeline: dict[str, FloatArray], settings: FloatArray, contexts: FloatArray, labels: Labels, path: Path
) -> Path:
    """One episode: what happened ``name -> (n_windows,)``, what was set ``(n_windows, n)``, contexts ``(n_windows, k)``."""
    plt = pyplot()
    time_s = np.arange(len(contexts)) * labels.window_s
    figure, panels = plt.subplots(
        len(timeline) + 2, 1, figsize=(8.0, 1.25 * (len(timeline) + 2)), sharex=True, constrained_layout=True
    )
    for panel, (name, values) in zip(panels, timeline.items(), strict=False):
        panel.step(time_s, values, where="post", color="black", linewidth=1.0)
        panel.ticklabel_format(axis="y", useOffset=False)
        panel.set_ylabel(axis_label(name), fontsize="x-small")
    for panel, columns, names in (
        (panels[-2], settings.T, _numbered(labels.setting, settings.shape[1])),
        (panels[-1], contexts.T, labels.terms),
    ):
        for index, (values, name) in enumerate(zip(columns, names, strict=True)):
            panel.step(time_s, values, where="post", linewidth=1.0, label=name, **line_style(index))
        panel.set_ylim(-0.05, 1.05 * max(1.0, columns.max()))
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="xx-small")
    panels[-2].set_ylabel("set (1)", fontsize="x-small")
    panels[-1].set_ylabel("mix (1)", fontsize="x-small")
    panels[-1].set_xlabel("time in the episode (s)")
    return save(figure, path)
