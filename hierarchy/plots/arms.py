"""How the arms compare: means with intervals, differences, performance profiles, latencies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from envs.core.reports import Spread
from hierarchy.evidence.results import Results, ranked
from hierarchy.plots.figure import drawn, line_style

FloatArray = NDArray[np.float64]


def units_of(results: Results) -> str:
    """What the intervals are over."""
    return "training seeds" if len(results["training_seeds"]) > 1 else "evaluation seeds"


def plot_arms(results: Results, objective: str, path: Path) -> Path:
    """Mean objective of every arm with its 95 % interval, best on top; arms of the hierarchy are filled."""
    arms = ranked(results)[::-1]
    with drawn(path, 7.5, 0.32 * len(arms) + 1.0) as axes:
        for row, (name, arm) in enumerate(arms):
            mean, (low, high) = arm["objective"]["mean"], arm["objective"]["ci95"]
            face = "black" if name == "learned" else "0.6" if arm["context"] is not None else "white"
            axes.plot([low, high], [row, row], color="black", linewidth=1.2)
            axes.plot(mean, row, "o", color="black", markerfacecolor=face, markersize=7)
        axes.set_yticks(range(len(arms)), [name for name, _ in arms])
        axes.set_xlabel(f"{objective}, mean and 95 % interval over {units_of(results)}")
        axes.grid(axis="x", color="0.85")
    return path


def plot_differences(results: Results, objective: str, path: Path) -> Path:
    """What the learned arm is above every other arm: Student's t interval as a line, the bootstrap's as a bar behind it."""
    compared = sorted(results["comparisons"].items(), key=lambda item: -item[1]["difference"])
    with drawn(path, 7.5, 0.32 * len(compared) + 1.0) as axes:
        for row, (_, difference) in enumerate(compared):
            if difference["bootstrap_ci95"] is not None:
                axes.plot(difference["bootstrap_ci95"], [row, row], color="0.75", linewidth=6, solid_capstyle="butt")
            axes.plot(difference["ci95"], [row, row], color="black", linewidth=1.2)
            axes.plot(difference["difference"], row, "o", color="black", markersize=5)
        axes.axvline(0.0, color="black", linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(compared)), [name.removeprefix("learned_vs_") for name, _ in compared])
        axes.set_xlabel(f"learned minus arm, {objective}: 95 % t interval (line) and bootstrap (bar)")
        axes.grid(axis="x", color="0.85")
    return path


def plot_profiles(gains: Mapping[str, FloatArray], objective: str, path: Path) -> Path:
    """Share of episodes in which an arm beats the equal mix by more than a margin, for every margin."""
    with drawn(path, 7.5, 3.4) as axes:
        for index, (name, values) in enumerate(gains.items()):
            survival = stats.ecdf(values.ravel()).sf
            style = {**line_style(index), "linewidth": 2.0 if name == "learned" else 1.2}
            axes.step(survival.quantiles, survival.probabilities, where="post", label=name, **style)
        axes.axvline(0.0, color="0.7", linewidth=0.8)
        axes.set_xlabel(f"margin over the equal mix, {objective}")
        axes.set_ylabel("share of episodes above it (1)")
        axes.legend(fontsize="small")
        axes.grid(color="0.9")
    return path


def plot_spreads(spreads: Mapping[str, Spread], path: Path) -> Path:
    """Share of answers that took longer than a time, both axes logarithmic, so that tails are seen."""
    label = next(iter(spreads.values())).label
    with drawn(path, 7.5, 3.6) as axes:
        for index, (name, spread) in enumerate(spreads.items()):
            above = 1.0 - spread.counts.cumsum() / spread.counts.sum()
            shown = (above < 0.9999) & (above > 1e-5)
            style = {**line_style(index), "linewidth": 2.0 if name == "learned" else 1.2}
            axes.plot(spread.edges[1:][shown], above[shown], label=name, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("share of answers above it (1)")
        axes.legend(fontsize="small")
        axes.grid(color="0.9")
    return path
