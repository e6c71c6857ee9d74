"""All cases are measured in turn, round after round, and summed up by medians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from runs.benchmarks import BENCHMARKS, plan_of
from runs.benchmarks.plan import Agreement, Case, Curve, Plan, Ratio, Target, run


def silent(_: str) -> None:
    """No progress is shown."""


class Counter:
    """A case that gives the next of its values, and notes when it was measured."""

    def __init__(self, name: str, values: list[float], measured: list[str]) -> None:
        self.name, self._values, self._measured = name, iter(values), measured

    def __call__(self) -> float:
        self._measured.append(self.name)
        return next(self._values)


def case(name: str, values: list[float], measured: list[str], once: bool = False) -> Case:
    return Case(name, "1/s", Counter(name, values, measured), once)


def test_cases_are_measured_in_turn_after_a_round_that_is_not_counted() -> None:
    measured: list[str] = []
    report = run(Plan([case("a", [9, 1, 2, 3], measured), case("b", [9, 4, 5, 6], measured)]), 3, silent)
    assert measured == ["a", "b"] * 4
    assert [figure.values for figure in report.cases] == [[1, 2, 3], [4, 5, 6]]
    assert [(figure.median, figure.low, figure.high) for figure in report.cases] == [(2, 1, 3), (5, 4, 6)]


def test_a_long_case_is_measured_once() -> None:
    measured: list[str] = []
    ratio = Ratio("a", "long")
    report = run(Plan([case("a", [9, 1, 2], measured), case("long", [4.0], measured, once=True)], [ratio]), 2, silent)
    assert measured == ["a", "a", "long", "a"]
    assert report.ratios[0].values == [0.25, 0.5]


def test_a_ratio_is_that_of_the_medians_and_spreads_over_rounds() -> None:
    plan = Plan([case("a", [0, 10, 20, 60], []), case("b", [0, 1, 4, 3], [])], [Ratio("a", "b", Target("at least", 5))])
    figure = run(plan, 3, silent).ratios[0]
    assert figure.median == pytest.approx(20 / 3)
    assert (figure.low, figure.high) == (5, 20)
    assert figure.met


@pytest.mark.parametrize(
    ("side", "value", "met"),
    [("at least", 2.0, True), ("at least", 1.9, False), ("at most", 2.0, True), ("at most", 2.1, False)],
)
def test_a_target_is_met_on_its_side(side: Any, value: float, met: bool) -> None:
    assert Target(side, 2.0).met(value) == met


def test_a_curve_is_the_median_at_every_size() -> None:
    curve = Curve("c", "x", "y", {"line": {1: Counter("", [3, 1, 2], []), 2: Counter("", [7, 7, 9], [])}})
    (drawn,) = run(Plan([], curves=[curve]), 3, silent).curves
    assert (drawn.lines[0].x, drawn.lines[0].y) == ([1, 2], [2, 7])


@pytest.mark.parametrize(("shift", "agree"), [(0.0, True), (5.0, False)])
def test_simulators_agree_when_the_interval_of_their_difference_holds_zero(shift: float, agree: bool) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(10, 1, 12), rng.normal(10 + shift, 2, 8)
    plan = Plan([], agreements=[Agreement("a", "ms", lambda: list(ours), lambda: list(theirs))])
    (agreed,) = run(plan, 1, silent).agreements
    expected = stats.ttest_ind(ours, theirs, equal_var=False)
    assert agreed.agree == agree == (expected.pvalue > 0.05)
    assert agreed.difference == pytest.approx(ours.mean() - theirs.mean())


@pytest.mark.parametrize("name", BENCHMARKS)
def test_ratios_and_targets_name_cases_that_there_are(name: str) -> None:
    plan = plan_of(name)(1.0)
    names = [case.name for case in plan.cases]
    assert len(set(names)) == len(names)
    assert {ratio.over for ratio in plan.ratios} | {ratio.under for ratio in plan.ratios} | set(plan.targets) <= set(names)
