"""The rules that draw servers at random, against the probabilities that they should have."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from tests.envs.load_balancing.dispatch.balancer import Balancer


def test_weighted_random_picks_in_proportion_to_the_weights() -> None:
    weights = np.array([1.0, 0.0, 4.0, 2.5, 0.5])
    picked = np.bincount(Balancer("weighted_random", weights).pick_many(20_000), minlength=5)
    assert picked[1] == 0
    kept = weights > 0
    assert stats.chisquare(picked[kept], 20_000 * weights[kept] / weights.sum()).pvalue > 1e-4


def test_weighted_random_remembers_nothing() -> None:
    picked = Balancer("weighted_random", [1.0, 1.0]).pick_many(20_000)
    assert abs(np.corrcoef(picked[1:], picked[:-1])[0, 1]) < 4 / math.sqrt(20_000)


def chances_of_two(n: int) -> np.ndarray:
    """Probability that the r-th best of ``n`` wins against one drawn from the others."""
    return 2.0 * (n - 1 - np.arange(n)) / (n * (n - 1))


def test_power_of_two_takes_the_better_of_two_drawn_evenly() -> None:
    picked = np.bincount(Balancer("power_of_two", [1.0, 2.0, 1.0, 4.0], [3, 1, 1, 6]).pick_many(20_000), minlength=4)
    best_first = np.argsort([4 / 1, 2 / 2, 2 / 1, 7 / 4])
    expected = 20_000 * chances_of_two(4)
    assert picked[best_first[-1]] == 0
    assert stats.chisquare(picked[best_first[:-1]], expected[:-1]).pvalue > 1e-4


def test_power_of_two_breaks_a_tie_of_the_two_evenly() -> None:
    picked = np.bincount(Balancer("power_of_two", [1.0, 1.0], [2, 2]).pick_many(5000), minlength=2)
    assert stats.chisquare(picked).pvalue > 1e-4


def test_random_takes_the_fewest_flows_per_weight_of_two_drawn_by_weight() -> None:
    weights, flows = np.array([1.0, 2.0, 1.0, 4.0]), np.array([3, 1, 1, 6])
    picked = np.bincount(Balancer("random", weights, flows).pick_many(20_000), minlength=4)
    best_first = np.argsort(flows / weights)
    not_yet = np.append(1.0, 1.0 - np.cumsum(weights[best_first] / weights.sum())) ** 2  # neither draw is among the better
    assert stats.chisquare(picked[best_first], 20_000 * -np.diff(not_yet)).pvalue > 1e-4


def test_random_of_one_draw_is_weighted_random() -> None:
    weights = np.array([1.0, 3.0, 0.0])
    picked = np.bincount(Balancer("random", weights, [9, 0, 0], draws=1).pick_many(20_000), minlength=3)
    assert picked[2] == 0
    assert stats.chisquare(picked[:2], [5_000, 15_000]).pvalue > 1e-4
