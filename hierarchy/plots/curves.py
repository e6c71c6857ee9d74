"""Quantities over an axis, with their spread over seeds: learning, steering."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.evidence.statistics import t_interval
from hierarchy.plots.figure import drawn, pyplot, save
from hierarchy.plots.style import BLACK, MARKERS, Line, draw_lines, legend_beside, line_style

Curve = dict[str, list[float | None]]
"""Metrics by name, as many values as steps; None where there was none."""
N_BINS = 40


def plot_curve(x: FloatArray, rows: dict[str, FloatArray], x_label: str, path: Path) -> Path:
    """Several quantities over one axis, each ``(n_seeds, n_points)`` in a panel with its mean and 95 % range of seeds."""
    figure, panels = pyplot().subplots(1, len(rows), figsize=(4.2 * len(rows), 3.0), constrained_layout=True)
    for panel, marker, (label, values) in zip(np.atleast_1d(panels), MARKERS, rows.items(), strict=False):
        low, high = np.quantile(values, [0.025, 0.975], axis=0)
        panel.fill_between(x, low, high, color="0.85")
        panel.plot(x, values.mean(0), color="black", marker=marker, markersize=5)
        panel.set_xlabel(x_label)
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
    return save(figure, path)


def binned(curves: list[Curve], name: str) -> tuple[FloatArray, FloatArray]:
    """A metric of several curves over common bins of steps: centres ``(n,)`` and means ``(n_curves, n)``.

    One that begins in the second half of all steps has its bins from there on.
    """
    every = [np.array([curve["step"], curve[name]], np.float64) for curve in curves]
    points = [of_curve[:, np.isfinite(of_curve[1])] for of_curve in every]
    end, first = max(steps[-1] for steps, _ in every), min(steps[0] for steps, _ in points)
    edges = np.linspace(first if first > end / 2 else 0.0, end, N_BINS + 1)
    rows = []
    for steps, metric in points:
        where = np.clip(np.digitize(steps, edges[1:], right=True), 0, N_BINS - 1)
        sums = np.bincount(where, weights=metric, minlength=N_BINS)
        counts = np.bincount(where, minlength=N_BINS)
        rows.append(np.divide(sums, counts, out=np.full(N_BINS, np.nan), where=counts > 0))
    values = np.array(rows)
    there = np.isfinite(values).all(0)
    return (edges[:-1] + edges[1:])[there] / 2.0, values[:, there]


def _shade_interval(axes: Any, x: FloatArray, values: FloatArray, colour: str) -> None:
    """The 95 % t interval over training seeds, of ``values (n_seeds, n_points)``, if there are several."""
    if len(values) > 1:
        low, high = np.array([t_interval(column) for column in values.T]).T
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def plot_lines(curves: list[Curve], names: dict[str, str], x_label: str, y_label: str, path: Path) -> Path:
    """Several metrics over the steps of training on one axis, metric -> label: means over training seeds."""
    lines = []
    with drawn(path, 8.0, 3.2) as axes:
        for index, (name, label) in enumerate(names.items()):
            x, values = binned(curves, name)
            style = line_style(index)
            _shade_interval(axes, x, values, style.colour)
            lines.append(Line(label, x, values.mean(0), style))
        draw_lines(axes, lines)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(color="0.9")
        legend_beside(axes)
    return path


class Panel(NamedTuple):
    """One learning curve."""

    phase: str
    name: str  # of the metric
    x_label: str
    y_label: str


def plot_learning(phases: dict[str, list[Curve]], shown: list[Panel], path: Path) -> Path:
    """Learning curves, a panel each: means over training seeds and, with several, their 95 % t interval."""
    figure, panels = pyplot().subplots(
        -(-len(shown) // 2), 2, figsize=(9.0, 2.5 * -(-len(shown) // 2)), constrained_layout=True, squeeze=False
    )
    for panel, (phase, name, x_label, y_label) in zip(panels.ravel(), shown, strict=False):
        x, values = binned(phases[phase], name)
        _shade_interval(panel, x, values, BLACK)
        panel.plot(x, values.mean(0), color=BLACK, linewidth=1.6)
        panel.locator_params(axis="x", nbins=5)
        panel.set_xlabel(x_label)
        panel.set_ylabel(y_label)
        panel.grid(color="0.9")
    for panel in panels.ravel()[len(shown) :]:
        panel.set_visible(False)
    return save(figure, path)
