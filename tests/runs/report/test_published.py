"""The published stream experiment beside results: its report is quoted, its formula applied, our row computed."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import envs
from envs import LoadBalancingConfig, SparkConfig
from envs.core.objectives import Satisfaction
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.arms import Facts
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import Results
from runs.report import published

HEADINGS = ["", "equal mix", "learned mix", "gain", "latency (ms)", "cost ($/h)", "of constant"]
EQUAL, LEARNED, CONSTANT = np.array([2.0, 3.0, 1.0, 2.5]), np.array([3.0, 3.5, 1.2, 3.1]), np.full(4, 4.0)


def arm(objective: np.ndarray, latency_ms: float, cost_usd_per_h: float) -> Episodes:
    """A made-up arm of one window, whose latency and cost are spread about their means."""
    around = np.linspace(0.5, 1.5, len(objective))
    return Episodes(
        objective=objective,
        statistics={"latency_mean_ms": latency_ms * around, "cost_usd_per_h": cost_usd_per_h * around},
        costs={},
        bounds={},
        window_objective=objective[None],
        recorded_position=None,
        contexts=None,
        regimes=np.zeros((1, len(objective)), np.int64),
        timeline={},
        settings=np.zeros((1, 1)),
        spread=None,
        observations=None,
        features=None,
        running=None,
    )


def found(shift: float = 0.0, constant: bool = True, seed: int = 0) -> Results:
    arms: dict[str, Episodes | None] = {
        "fixed_equal": arm(EQUAL + shift, 300.4, 4.444),
        "learned": arm(LEARNED + shift, 200.6, 6.666),
        "best_constant": arm(CONSTANT + shift, 100.0, 9.0) if constant else None,
    }
    spec = dataclasses.replace(envs.describe(SparkConfig()), metrics=("latency_mean_ms", "cost_usd_per_h"))
    return results.of_arms(arms, dict.fromkeys(arms, Facts("mix")), spec, seed=seed)


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\d.])[-+]?\d+(?:\.\d+)?", cell)]


def interval(values: np.ndarray) -> list[float]:
    """Mean and Student's t interval of it."""
    return [values.mean(), *stats.ttest_1samp(values, 0.0).confidence_interval(0.95)]


def formula(latency_ms: float, cost_usd_per_h: float) -> float:
    return 1000 / (latency_ms + 1) - 0.1 * cost_usd_per_h


# What is quoted.


def test_the_report_is_quoted_as_it_stands() -> None:
    heading, report, *_ = published.table(found())
    assert heading == HEADINGS
    assert report[1:] == ["1.827", "1.922", "+5.2 %", "520 to 50", "5.5 to 9.8", "-"]
    quoted = published.REPORTED[0]
    assert quoted.reward == (1.8267, 1.9217)
    assert quoted.latency_ms == (520, 50)
    assert quoted.cost_usd_per_h == (5.5, 9.8)


def test_its_formula_makes_other_rewards_of_its_own_latencies_and_costs() -> None:
    report, computed, _ = published.REPORTED
    assert (computed.latency_ms, computed.cost_usd_per_h) == (report.latency_ms, report.cost_usd_per_h)
    equal, learned = map(formula, report.latency_ms, report.cost_usd_per_h)
    assert (f"{equal:.3g}", f"{learned:.3g}") == ("1.37", "18.6")
    assert published.table(found())[2][1:3] == ["1.37", "18.6"]
    assert computed.reward != report.reward


def test_every_quoted_gain_is_that_of_its_rewards() -> None:
    for row, quoted in zip(published.table(found())[1:-1], published.REPORTED, strict=True):
        equal, learned = quoted.reward
        assert_allclose(numbers(row[3]), 100 * (learned - equal) / equal, atol=0.05)
        assert row[0] == quoted.source
        assert numbers(row[4]) == list(quoted.latency_ms)
        assert numbers(row[5]) == list(quoted.cost_usd_per_h)


# What is computed.


def test_our_row_is_computed_from_the_results() -> None:
    *_, ours = published.table(found())
    assert ours[0] == "here, 4 evaluation seeds"
    assert_allclose(numbers(ours[1]), interval(EQUAL), atol=5e-4)
    assert_allclose(numbers(ours[2]), interval(LEARNED), atol=5e-4)
    assert_allclose(numbers(ours[3]), 100 * np.array(interval(LEARNED - EQUAL)) / EQUAL.mean(), atol=0.5)
    assert ours[4:6] == ["300 to 201", "4.44 to 6.67"]
    assert numbers(ours[6]) == [67.5]


def test_a_gain_over_a_negative_reward_is_a_gain() -> None:
    *_, ours = published.table(found(shift=-10.0))
    assert_allclose(numbers(ours[3]), 100 * np.array(interval(LEARNED - EQUAL)) / (10 - EQUAL.mean()), atol=0.5)
    assert ours[3].startswith("+")


def test_without_the_best_constant_there_is_nothing_to_compare_it_with() -> None:
    assert published.table(found(constant=False))[-1][-1] == "-"
    one = found()
    del one["arms"]["best_constant"]
    assert published.table(one)[-1][-1] == "-"


def test_with_several_training_seeds_they_are_the_unit() -> None:
    shifts = np.array([0.0, 0.5, 0.7])
    *_, ours = published.table(results.combined([found(shift, seed=seed) for seed, shift in enumerate(shifts)]))
    assert ours[0] == "here, 3 training seeds"
    assert_allclose(numbers(ours[1]), interval(EQUAL.mean() + shifts), atol=5e-4)


def test_every_row_has_a_cell_under_every_heading() -> None:
    assert {len(row) for row in published.table(found())} == {len(HEADINGS)}


# Where it belongs.


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (SparkConfig(), True),
        (SparkConfig(actions="all", scenario="balanced", max_change=2), True),
        (SparkConfig(form="extended"), False),
        (LoadBalancingConfig(), False),
        (LoadBalancingConfig(objective=Satisfaction()), False),
    ],
)
def test_only_its_world_and_its_objective_are_the_published_ones(env: Any, expected: bool) -> None:
    assert published.is_published(ExperimentConfig(env=env)) is expected
