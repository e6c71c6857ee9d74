"""One episode, window by window: what happened, what both agents set, and the regimes behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.arrays import FloatArray
from hierarchy.plots.figure import Labels, axis_label, drawn, folded, pyplot, save
from hierarchy.plots.style import apart, draw_lines, legend_beside, numbered, shade

IntArray = NDArray[np.int64]

NARROWEST_LABEL = 0.009
"""A regime that is shorter than this share of the episode is shaded and not numbered."""

TINT = 0.25
"""How strong the background is."""
MOST_LINES = 5
"""More settings than that are rows of shades, not lines."""
ROWS_A_PANEL, HIGHEST = 10, 4.0
"""Rows in the height of a panel of lines, and how many such heights a panel of rows has at most."""
SHADES_SHOWN = 3
"""Of those between nothing and the largest setting, in the legend."""
FAN, WIDEST_GAP = 0.2, 0.05
"""How far all settings together, and two neighbours, are moved apart, as a share of the axis."""


def plot_contexts(contexts: FloatArray, labels: Labels, path: Path) -> Path:
    """The context that an arm set over one episode, ``contexts (n_windows, k)``."""
    with drawn(path, 8.0, 3.0) as axes:
        time_s = np.arange(len(contexts) + 1) * labels.window_s
        rows = {name: _until_the_end(weights) for name, weights in zip(labels.terms, contexts.T, strict=True)}
        draw_lines(axes, numbered(time_s, rows), drawstyle="steps-post")
        axes.set_xlabel("time in the episode (s)")
        axes.set_ylabel("weight in the mix (1)")
        axes.set_ylim(-0.03, 1.03)
        legend_beside(axes)
    return path


def _until_the_end(values: FloatArray) -> FloatArray:
    """Window by window, the last one drawn to its end: ``(n_windows,)`` to ``(n_windows + 1,)``."""
    return np.append(values, values[-1:])


def _height(n_settings: int) -> float:
    """Of the panel of settings, in heights of a panel of lines."""
    return min(max(1.0, n_settings / ROWS_A_PANEL), HIGHEST) if n_settings > MOST_LINES else 1.0


def named_rows(names: Sequence[str]) -> list[tuple[int, str]]:
    """The rows of a panel that are named: all, or one of several where they are too many to be read."""
    every = math.ceil(len(names) / (ROWS_A_PANEL * _height(len(names))))
    return list(enumerate(names))[::every]


def _draw_shades(panel: Any, time_s: FloatArray, rows: dict[str, FloatArray], label: str) -> None:
    """A row each ``name -> (n_windows,)``, the darker the larger; above the background, which would change the shades."""
    edges, top = np.arange(len(rows) + 1), max(1.0, *(row.max() for row in rows.values()))
    drawn = panel.pcolormesh(time_s, edges, np.stack([*rows.values()]), cmap="Greys", vmin=0.0, vmax=top, zorder=1.5)
    places, names = zip(*named_rows([*rows]), strict=True)
    if len(names) == len(rows):
        panel.hlines(edges, time_s[0], time_s[-1], color="white", linewidth=0.8, zorder=1.6)
    panel.set_yticks(np.array(places) + 0.5, names, fontsize="x-small")
    panel.invert_yaxis()
    panel.set_ylabel(folded(label), fontsize="small")
    patch = pyplot().matplotlib.patches.Patch
    levels = np.linspace(0.0, top, SHADES_SHOWN)
    handles = [patch(facecolor=drawn.to_rgba(level), edgecolor="0.6", label=f"{level:.3g}") for level in levels]
    legend_beside(panel, handles=handles)


def spans(regimes: IntArray) -> list[tuple[int, int, int]]:
    """Windows ``(n,)`` of one regime in a row: regime, first window, the window after the last."""
    edges = [0, *(np.flatnonzero(np.diff(regimes)) + 1).tolist(), len(regimes)]
    return [(int(regimes[start]), start, end) for start, end in pairwise(edges)]


def _shade_regimes(figure: Any, panels: Any, regimes: IntArray, labels: Labels) -> None:
    """Colour the background by regime, number the regimes above the first panel, and say what the numbers are."""
    for regime, start, end in spans(regimes):
        for panel in panels:
            panel.axvspan(start * labels.window_s, end * labels.window_s, color=shade(regime), alpha=TINT, linewidth=0)
            panel.axvline(start * labels.window_s, color="0.6", linewidth=0.5)
        if end - start >= NARROWEST_LABEL * len(regimes):
            middle = (start + end) / 2 * labels.window_s
            across = panels[0].get_xaxis_transform()
            panels[0].text(middle, 1.03, str(regime + 1), transform=across, ha="center", va="bottom", fontsize="small")
    there = sorted(set(regimes.tolist()))
    patch = pyplot().matplotlib.patches.Patch
    handles = [patch(color=shade(i), alpha=TINT, label=f"{i + 1}: {labels.regimes[i]}") for i in there]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, fontsize="small", title="regime", frameon=False)


def _draw_panel(panel: Any, time_s: FloatArray, rows: dict[str, FloatArray], label: str, fan: bool = False) -> None:
    """A panel of several lines ``name -> (n_windows,)`` from 0 on; ``fan`` moves them apart."""
    top = max(1.0, *(row.max() for row in rows.values()))
    gap = min(WIDEST_GAP, FAN / len(rows)) * top if fan else 0.0
    moved = {name: _until_the_end(row) for name, row in apart(rows, gap).items()}
    draw_lines(panel, numbered(time_s, moved), scale=0.85, drawstyle="steps-post")
    panel.set_ylim(-0.14 * top, 1.14 * top)
    panel.set_ylabel(folded(label), fontsize="small")
    legend_beside(panel)


def plot_timeline(
    timeline: dict[str, FloatArray],
    settings: FloatArray,
    contexts: FloatArray,
    regimes: IntArray,
    labels: Labels,
    path: Path,
) -> Path:
    """One episode: what happened ``name -> (n_windows,)``, what was set ``(n_windows, n)``, contexts ``(n_windows, k)``.

    The background shows the regime ``(n_windows,)`` that each window began in, in a world that has any.
    """
    heights = [1.0] * len(timeline) + [_height(settings.shape[1]), 1.0]
    time_s = np.arange(len(contexts) + 1, dtype=np.float64) * labels.window_s
    size = (9.5, 1.3 * sum(heights) + 0.6)
    figure, panels = pyplot().subplots(
        len(heights), 1, figsize=size, height_ratios=heights, sharex=True, constrained_layout=True
    )
    for panel, (name, values) in zip(panels, timeline.items(), strict=False):
        panel.step(time_s, _until_the_end(values), where="post", color="black", linewidth=1.3)
        panel.ticklabel_format(axis="y", useOffset=False)
        panel.set_ylabel(folded(axis_label(name)), fontsize="small")
    rows, label = dict(zip(labels.setting_names, settings.T, strict=True)), f"{labels.setting} (1)"
    if len(rows) > MOST_LINES:
        _draw_shades(panels[-2], time_s, rows, label)
    else:
        _draw_panel(panels[-2], time_s, rows, label, fan=True)
    _draw_panel(panels[-1], time_s, dict(zip(labels.terms, contexts.T, strict=True)), "weight in the mix (1)")
    if labels.regimes:
        _shade_regimes(figure, panels, regimes, labels)
    panels[-1].set_xlim(0, len(contexts) * labels.window_s)
    panels[-1].set_xlabel("time in the episode (s)")
    figure.align_ylabels()
    return save(figure, path)
