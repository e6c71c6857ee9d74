"""What a benchmark is made of, and how it is measured: all cases in turn, round after round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Side = Literal["at least", "at most"]
Announce = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    name: str
    unit: str
    measure: Callable[[], float]
    """does its work once and returns the figure"""
    once: bool = False
    """too long to repeat: measured in the first round only"""


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    side: Side
    value: float

    def met(self, value: float) -> bool:
        """Whether the figure does."""
        return value >= self.value if self.side == "at least" else value <= self.value


@dataclass(frozen=True)
class Ratio:
    """One case over another, by name."""

    over: str
    under: str
    target: Target | None = None

    @property
    def name(self) -> str:
        """How it is shown."""
        return f"{self.over} / {self.under}"


@dataclass(frozen=True)
class Curve:
    """A figure against a size, one or more lines."""

    name: str
    x_label: str
    y_label: str
    lines: Mapping[str, Mapping[int, Callable[[], float]]]


@dataclass(frozen=True)
class Agreement:
    """Two simulators of one model: means of independent replications that must agree."""

    name: str
    unit: str
    ours: Callable[[], Sequence[float]]
    theirs: Callable[[], Sequence[float]]


@dataclass(frozen=True)
class Plan:
    """A benchmark."""

    cases: list[Case]
    ratios: list[Ratio] = field(default_factory=list)
    targets: dict[str, Target] = field(default_factory=dict)
    """of single cases, by name"""
    curves: list[Curve] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """A case or ratio as it was measured."""

    name: str
    unit: str
    median: float
    low: float
    high: float
    values: list[float]
    target: str | None
    met: bool | None


@dataclass(frozen=True)
class Line:
    """Points of a curve: the median of each."""

    name: str
    x: list[int]
    y: list[float]


@dataclass(frozen=True)
class Drawn:
    """A curve as it was measured."""

    name: str
    x_label: str
    y_label: str
    lines: list[Line]


@dataclass(frozen=True)
class Agreed:
    """Whether two simulators agree: the difference of their means with its 95 % interval (Welch)."""

    name: str
    unit: str
    ours: float
    theirs: float
    difference: float
    ci95: list[float]
    agree: bool


@dataclass(frozen=True)
class Report:
    """All that a benchmark measured."""

    cases: list[Figure]
    ratios: list[Figure]
    curves: list[Drawn]
    agreements: list[Agreed]


def figure(name: str, unit: str, values: list[float], target: Target | None, median: float) -> Figure:
    """A median and the spread of the values."""
    shown = None if target is None else f"{target.side} {target.value:,g}"
    met = None if target is None else target.met(median)
    return Figure(name, unit, median, min(values), max(values), values, shown, met)


def run(plan: Plan, rounds: int, progress: Announce) -> Report:
    """Measure: one untimed round first, then ``rounds`` rounds of all cases in turn, then curves and agreements.

    The spread of a ratio is that of the ratios within a round; its median is the ratio of the medians.
    """
    values: dict[str, list[float]] = {case.name: [] for case in plan.cases}
    for case in plan.cases:
        if not case.once:
            progress(f"warm up: {case.name}")
            case.measure()
    for number in range(rounds):
        for case in plan.cases:
            if number == 0 or not case.once:
                progress(f"round {number + 1} of {rounds}: {case.name}")
                values[case.name].append(case.measure())
    curves = [_draw(curve, rounds, progress) for curve in plan.curves]
    agreements = [_compare(agreement, progress) for agreement in plan.agreements]
    cases = [
        figure(case.name, case.unit, values[case.name], plan.targets.get(case.name), float(np.median(values[case.name])))
        for case in plan.cases
    ]
    return Report(cases, [_ratio(ratio, values) for ratio in plan.ratios], curves, agreements)


def _ratio(ratio: Ratio, values: dict[str, list[float]]) -> Figure:
    over, under = values[ratio.over], values[ratio.under]
    each = (np.asarray(over) / np.asarray(under)).tolist()  # a case measured once stands beside every round
    return figure(ratio.name, "x", each, ratio.target, float(np.median(over) / np.median(under)))


def _draw(curve: Curve, rounds: int, progress: Announce) -> Drawn:
    measured: dict[str, dict[int, list[float]]] = {name: {x: [] for x in line} for name, line in curve.lines.items()}
    for _ in range(rounds):
        for name, line in curve.lines.items():
            for x, measure in line.items():
                progress(f"{curve.name}: {name} at {x:g}")
                measured[name][x].append(measure())
    lines = [Line(name, list(line), [float(np.median(line[x])) for x in line]) for name, line in measured.items()]
    return Drawn(curve.name, curve.x_label, curve.y_label, lines)


def _compare(agreement: Agreement, progress: Announce) -> Agreed:
    from scipy import stats

    progress(f"agreement: {agreement.name}")
    ours, theirs = np.asarray(agreement.ours()), np.asarray(agreement.theirs())
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    low, high = float(interval.low), float(interval.high)
    difference = float(ours.mean() - theirs.mean())
    agree = low <= 0.0 <= high
    return Agreed(agreement.name, agreement.unit, float(ours.mean()), float(theirs.mean()), difference, [low, high], agree)
