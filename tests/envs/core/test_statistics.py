"""Means of named figures, for worlds that keep no accounts of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from envs.core.statistics import MeanStatistics, minus_all
from envs.core.terms import reward_term

N_ENVS = 3
ALL = np.ones(N_ENVS, np.bool_)
SECOND = np.array([False, True, False])


class Load:
    """Measurements that a test sets."""

    def __init__(self) -> None:
        self.now = np.zeros(N_ENVS)


def load(measurements: Load) -> np.ndarray:
    return measurements.now


FIGURES = {"load": load, "square": reward_term(load) ** 2, "so_far": reward_term(load).cumulative()}


class Means:
    """Means of :data:`FIGURES` from the beginning of an episode on, and what they are measured of."""

    def __init__(self) -> None:
        self.load, self.statistics = Load(), MeanStatistics(N_ENVS, FIGURES)
        self.reset(ALL)

    def reset(self, mask: np.ndarray) -> None:
        self.statistics.before_reset(self.load, mask)

    def record(self, values: np.ndarray, moved: np.ndarray = ALL) -> None:
        """Steps ``values (n_steps, n_envs)``."""
        for row in values:
            self.load.now = np.where(moved, row, self.load.now)
            self.statistics.record(self.load, moved)

    def totals(self) -> np.ndarray:
        return self.statistics.totals(self.load)

    def since(self, totals: Any = None) -> dict[str, np.ndarray]:
        return self.statistics.since(self.load, totals)


@pytest.fixture
def means() -> Means:
    return Means()


def values_of(n_steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 1.0, (n_steps, N_ENVS))


def test_statistics_are_means_since_the_totals_given_or_the_reset(means: Means) -> None:
    values = values_of(12)
    means.record(values[:5])
    since = means.totals()
    means.record(values[5:])
    sums = values.cumsum(0)
    for found, stretch in ((means.since(), slice(None)), (means.since(since), slice(5, None))):
        assert_allclose(found["load"], values[stretch].mean(0))
        assert_allclose(found["square"], (values[stretch] ** 2).mean(0))
        assert_allclose(found["so_far"], sums[stretch].mean(0))


def test_totals_are_a_copy(means: Means) -> None:
    values = values_of(2)
    means.record(values)
    since = means.totals()
    means.record(values)
    assert not np.array_equal(since, means.totals())
    since[:] = 99.0
    assert_allclose(means.since()["load"], values.mean(0))


def test_a_reset_forgets_its_env_alone(means: Means) -> None:
    values = values_of(4)
    means.record(values)
    means.reset(SECOND)
    assert_allclose(means.since()["load"], np.where(SECOND, 0.0, values.mean(0)))
    means.record(values[:1])
    again = np.vstack([values, values[:1]])
    assert_allclose(means.since()["load"], np.where(SECOND, values[0], again.mean(0)))
    last = np.where(SECOND, values[0], again.sum(0))
    assert_allclose(means.since()["so_far"], np.where(SECOND, last, again.cumsum(0).mean(0)))


def test_an_env_that_stands_still_counts_no_step(means: Means) -> None:
    values = values_of(6)
    means.record(values[:2])
    means.record(values[2:], ~SECOND)
    assert_allclose(means.since()["load"], np.where(SECOND, values[:2].mean(0), values.mean(0)))


def test_before_the_first_step_every_mean_is_zero(means: Means) -> None:
    assert {name: mean.tolist() for name, mean in means.since().items()} == dict.fromkeys(FIGURES, [0.0] * 3)


def test_two_of_the_same_figures_share_nothing() -> None:
    one, other = Means(), Means()
    one.record(np.ones((3, N_ENVS)))
    other.record(np.ones((2, N_ENVS)))
    assert other.since()["so_far"].tolist() == [1.5] * 3
    one.record(np.ones((1, N_ENVS)))
    assert one.since()["so_far"].tolist() == [2.5] * 3


def test_the_objective_of_a_world_that_names_none_is_minus_the_sum_of_the_means() -> None:
    statistics = {"load": np.array([1.0]), "square": np.array([2.0]), "so_far": np.array([4.0])}
    assert minus_all(statistics).tolist() == [-7.0]


def test_figures_are_observed_by_name_in_their_order(means: Means) -> None:
    told = means.statistics
    assert told.metric_names == told.observed_names == told.timeline_names == ("load", "square", "so_far")
    statistics = {name: np.arange(3.0) + 10 * i for i, name in enumerate(reversed(FIGURES))}
    observed = told.observed(statistics)
    assert observed.dtype == np.float32
    assert observed.tolist() == [[20.0, 10.0, 0.0], [21.0, 11.0, 1.0], [22.0, 12.0, 2.0]]
