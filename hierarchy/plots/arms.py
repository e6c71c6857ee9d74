"""How the arms compare: means with intervals, differences, performance profiles, latencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from envs.core.arrays import FloatArray
from envs.core.statistics import Spread
from hierarchy.evidence.arms import ArmResult
from hierarchy.evidence.results import Results
from hierarchy.evidence.tables import compared_once, headed
from hierarchy.plots.figure import drawn, pyplot, save
from hierarchy.plots.style import (
    GREY,
    KINDS,
    LEARNED,
    SKY,
    YELLOW,
    Kind,
    Line,
    arm_style,
    draw_lines,
    legend_beside,
)

SHOWN_TAIL = 1e-5
"""Rarer answers are too few to draw a line through."""

BARS = 0.8
"""Height of the bars of an arm together, as a share of its row."""
CLASSES = ((SKY, ""), (GREY, "////"), (YELLOW, "...."))
"""Colours and hatches of the bars of each class: no kind of arm has them, and they differ without their colour."""
KINDS_A_ROW = 3
"""Of the legend: all of them in one row would be wider than the picture."""


def units_of(results: Results) -> str:
    """What the intervals are over."""
    several = len(results["training_seeds"]) > 1
    if any(arm["blocks"] is not None for arm in results["arms"].values() if arm is not None):
        return "blocks of the recording" + (" and training seeds" if several else "")
    return "training seeds" if several else "evaluation seeds"


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
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=KINDS_A_ROW, frameon=False, fontsize="small")


def shares_by_class(results: Results) -> dict[str, dict[str, str]]:
    """Metrics that are shares of the requests of a class: what (late, lost) -> class -> metric."""
    _, arm = headed(results)[0]
    parts = [(metric, *metric.partition("_share_")) for metric in arm["metrics"]]
    shares: dict[str, dict[str, str]] = {}
    for metric, what, _, name in parts:
        if name:
            shares.setdefault(what, {})[name] = metric
    return shares


def _draw_shares(axes: Any, arms: list[tuple[str, ArmResult]], what: str, metrics: Mapping[str, str]) -> None:
    """A bar a class in the row of every arm, in percent."""
    height = BARS / len(metrics)
    for index, (name, metric) in enumerate(metrics.items()):
        rows = np.arange(len(arms)) + BARS / 2 - height * (index + 0.5)
        shares = [100.0 * arm["metrics"][metric] for _, arm in arms]
        colour, hatch = CLASSES[index % len(CLASSES)]
        axes.barh(rows, shares, height, label=name, color=colour, edgecolor="white", linewidth=0.0, hatch=hatch)
    axes.set_xlabel(f"{what}, by class (%)")
    axes.set_xlim(left=0.0)
    axes.grid(axis="x", color="0.85")
    axes.set_axisbelow(True)


def plot_arms(results: Results, objective: str, path: Path) -> Path:
    """Mean objective of every arm with its 95 % interval, the best rule on top, marked by kind of arm.

    Beside it, where the world has classes of requests, what was late and what was lost of each.
    """
    arms, shares = headed(results)[::-1], shares_by_class(results)
    kinds = [_kind(results, name) for name, _ in arms]
    figure, axes = pyplot().subplots(
        1,
        1 + len(shares),
        figsize=(7.5 + 2.2 * len(shares), 0.32 * len(arms) + 1.3),
        width_ratios=[3.0, *[1.0] * len(shares)],
        sharey=True,
        squeeze=False,
        constrained_layout=True,
    )
    means, *others = axes[0]
    for row, ((_, arm), kind) in enumerate(zip(arms, kinds, strict=True)):
        _mark(means, row, arm["objective"]["mean"], arm["objective"]["ci95"], kind)
    _label_rows(means, [name for name, _ in arms])
    means.set_xlabel(f"{objective}, mean and 95 % interval over {units_of(results)}")
    means.grid(axis="x", color="0.85")
    _legend_of_kinds(means, kinds)
    for panel, (what, metrics) in zip(others, shares.items(), strict=True):
        _draw_shares(panel, arms, what, metrics)
        panel.tick_params(axis="y", left=False)
    _set_off_best_rule(axes[0], kinds)
    if others:
        others[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, fontsize="small")
    return save(figure, path)


def _label_rows(axes: Any, names: list[str]) -> None:
    """Names of arms, the learned one in bold."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    for tick in axes.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() == LEARNED else "normal")


def _set_off_best_rule(panels: Iterable[Any], kinds: list[Kind]) -> None:
    """A line below the uppermost row, which is the best rule's where there are rules."""
    if kinds[-1] == KINDS["rule"]:
        for panel in panels:
            panel.axhline(len(kinds) - 1.5, color="0.5", linewidth=0.8)


def plot_differences(results: Results, objective: str, path: Path) -> Path:
    """What the learned arm is above every other, the best rule on top: t interval as a line, bootstrap as a bar behind."""
    ordered = compared_once(results)
    compared = [one for _, one in sorted(ordered, key=lambda pair: pair[0])]
    kinds = [_kind(results, one["rival"]) for one in compared]
    with drawn(path, 7.5, 0.32 * len(compared) + 1.3) as axes:
        for row, (difference, kind) in enumerate(zip(compared, kinds, strict=True)):
            if difference["bootstrap_ci95"] is not None:
                axes.plot(difference["bootstrap_ci95"], [row, row], color="0.8", linewidth=8, solid_capstyle="butt")
            _mark(axes, row, difference["difference"], difference["ci95"], kind)
        axes.axvline(0.0, color="black", linewidth=0.8, linestyle=":")
        _label_rows(axes, [one["rival"] for one in compared])
        _set_off_best_rule([axes], kinds)
        with_bar = any(difference["bootstrap_ci95"] is not None for difference in compared)
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
