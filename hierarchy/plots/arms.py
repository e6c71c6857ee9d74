"""How the arms compare: means with intervals, differences, performance profiles, latencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from envs.core.arrays import FloatArray
from envs.core.statistics import Spread
from hierarchy.evidence.results import BEST_RULE, OURS, Results
from hierarchy.evidence.tables import headed
from hierarchy.plots.figure import drawn
from hierarchy.plots.style import KINDS, LEARNED, Kind, Line, arm_style, draw_lines, legend_beside

SHOWN_TAIL = 1e-5
"""Rarer answers are too few to draw a line through."""


def units_of(results: Results) -> str:
    """What the intervals are over."""
    if any(arm is not None and arm["blocks"] is not None for arm in results["arms"].values()):
        return "blocks of the recording"
    return "training seeds" if len(results["training_seeds"]) > 1 else "evaluation seeds"


def _kind(results: Results, name: str) -> Kind:
    arm = results["arms"][name]
    assert arm is not None
    return KINDS[arm["kind"]]


def _mark(axes: Any, row: int, mean: float, interval: list[float], kind: Kind) -> None:
    """A mean with its interval in a row."""
    axes.plot(interval, [row, row], color=kind.colour, linewidth=1.6)
    axes.plot(mean, row, kind.marker, color=kind.colour, markeredgecolor="black", markeredgewidth=0.6, markersize=7.5)


def _legend_of_kinds(axes: Any, kinds: list[Kind]) -> None:
    """A legend above the axes of the kinds that there are, in the order of :data:`KINDS`."""
    for kind in KINDS.values():
        if kind in kinds:
            axes.plot([], [], kind.marker, color=kind.colour, markeredgecolor="black", markeredgewidth=0.6, label=kind.label)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(KINDS), frameon=False, fontsize="small")


def plot_arms(results: Results, objective: str, path: Path) -> Path:
    """Mean objective of every arm with its 95 % interval, the best rule on top, marked by kind of arm."""
    arms = headed(results)[::-1]
    kinds = [_kind(results, name) for name, _ in arms]
    with drawn(path, 7.5, 0.32 * len(arms) + 1.3) as axes:
        for row, ((_, arm), kind) in enumerate(zip(arms, kinds, strict=True)):
            _mark(axes, row, arm["objective"]["mean"], arm["objective"]["ci95"], kind)
        axes.set_yticks(range(len(arms)), [name for name, _ in arms])
        for tick in axes.get_yticklabels():
            tick.set_fontweight("bold" if tick.get_text() == LEARNED else "normal")
        axes.set_xlabel(f"{objective}, mean and 95 % interval over {units_of(results)}")
        axes.grid(axis="x", color="0.85")
        _legend_of_kinds(axes, kinds)
    return path


def plot_differences(results: Results, objective: str, path: Path) -> Path:
    """What the learned arm is above every other: Student's t interval as a line, the bootstrap's as a bar behind it."""
    pairs = [one for one in results["comparisons"].items() if one[0] != f"{OURS}_vs_{BEST_RULE}"]
    compared = sorted(pairs, key=lambda item: -item[1]["difference"])
    names = [one["rival"] for _, one in compared]
    kinds = [_kind(results, name) for name in names]
    with drawn(path, 7.5, 0.32 * len(compared) + 1.3) as axes:
        for row, ((_, difference), kind) in enumerate(zip(compared, kinds, strict=True)):
            if difference["bootstrap_ci95"] is not None:
                axes.plot(difference["bootstrap_ci95"], [row, row], color="0.8", linewidth=8, solid_capstyle="butt")
            _mark(axes, row, difference["difference"], difference["ci95"], kind)
        axes.axvline(0.0, color="black", linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(compared)), names)
        with_bar = any(difference["bootstrap_ci95"] is not None for _, difference in compared)
        axes.set_xlabel(
            f"learned minus arm, {objective}: 95 % t interval (line){' and bootstrap (bar)' if with_bar else ''}"
        )
        axes.grid(axis="x", color="0.85")
        _legend_of_kinds(axes, kinds)
    return path


def plot_profiles(gains: Mapping[str, FloatArray], objective: str, path: Path) -> Path:
    """Share of episodes in which an arm beats the equal mix by more than a margin, for every margin."""
    least = min(float(values.min()) for values in gains.values())
    lines = []
    for name, values in gains.items():
        survival = stats.ecdf(values.ravel()).sf
        x, share = np.append(least, survival.quantiles), np.append(1.0, survival.probabilities)
        lines.append(Line(name, x, share, arm_style(name)))
    with drawn(path, 8.0, 3.6) as axes:
        draw_lines(axes, lines, drawstyle="steps-post")
        axes.axvline(0.0, color="0.5", linewidth=0.8)
        axes.set_xlabel(f"margin over the equal mix, {objective}")
        axes.set_ylabel("share of episodes above it (1)")
        axes.grid(color="0.9")
        legend_beside(axes)
    return path


def plot_spreads(spreads: Mapping[str, Spread], path: Path) -> Path:
    """Share of answers that took longer than a time, both axes logarithmic, so that tails are visible."""
    label = next(iter(spreads.values())).label
    lines = []
    for name, spread in spreads.items():
        above = 1.0 - spread.counts.cumsum() / spread.counts.sum()
        shown = (above < 0.9999) & (above > SHOWN_TAIL)
        lines.append(Line(name, spread.edges[1:][shown], above[shown], arm_style(name)))
    with drawn(path, 8.0, 3.8) as axes:
        axes.set_xscale("log")
        axes.set_yscale("log")
        draw_lines(axes, lines)
        axes.set_xlabel(label)
        axes.set_ylabel("share of answers above it (1)")
        axes.grid(color="0.9")
        legend_beside(axes)
    return path
