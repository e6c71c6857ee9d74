"""Means of named figures, for worlds that keep no accounts of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from envs.core.reports import Means
from envs.core.terms import reward_term

N_ENVS = 3
ALL = np.ones(N_ENVS, np.bool_)
SECOND = np.array([False, True, False])


class Moving:
    """Dynamics that say what they are told to."""

    n_envs = N_ENVS
    setting = np.array([[1], [2], [3]])

    def __init__(self) -> None:
        self.now = np.zeros(N_ENVS)


def load(dynamics: Moving) -> np.ndarray:
    return dynamics.now


FIGURES = {"load": load, "square": reward_term(load) ** 2, "so_far": reward_term(load).cumulative()}


@pytest.fixture
def dynamics() -> Moving:
    return Moving()


def record(means: Means, dynamics: Moving, values: np.ndarray, moved: np.ndarray = ALL) -> None:
    """Steps ``values (n_steps, n_envs)``."""
    for row in values:
        dynamics.now = np.where(moved, row, dynamics.now)
        means.record(moved)


def values_of(n_steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 1.0, (n_steps, N_ENVS))


def begun(dynamics: Moving, **settings: Any) -> Means:
    means = Means(dynamics, FIGURES, **settings)
    means.before_reset(ALL)
    return means


def test_statistics_are_means_since_the_totals_given_or_the_reset(dynamics: Moving) -> None:
    means, values = begun(dynamics), values_of(12)
    record(means, dynamics, values[:5])
    since = means.totals()
    record(means, dynamics, values[5:])
    sums = values.cumsum(0)
    for found, stretch in ((means.statistics(), slice(None)), (means.statistics(since), slice(5, None))):
        assert_allclose(found["load"], values[stretch].mean(0))
        assert_allclose(found["square"], (values[stretch] ** 2).mean(0))
        assert_allclose(found["so_far"], sums[stretch].mean(0))


def test_totals_are_a_copy(dynamics: Moving) -> None:
    means, values = begun(dynamics), values_of(2)
    record(means, dynamics, values)
    since = means.totals()
    record(means, dynamics, values)
    assert not np.array_equal(since, means.totals())
    since[:] = 99.0
    assert_allclose(means.statistics()["load"], values.mean(0))


def test_a_reset_forgets_its_env_alone(dynamics: Moving) -> None:
    means, values = begun(dynamics), values_of(4)
    record(means, dynamics, values)
    means.before_reset(SECOND)
    assert_allclose(means.statistics()["load"], np.where(SECOND, 0.0, values.mean(0)))
    record(means, dynamics, values[:1])
    again = np.vstack([values, values[:1]])
    assert_allclose(means.statistics()["load"], np.where(SECOND, values[0], again.mean(0)))
    last = np.where(SECOND, values[0], again.sum(0))
    assert_allclose(means.statistics()["so_far"], np.where(SECOND, last, again.cumsum(0).mean(0)))


def test_an_env_that_stands_still_counts_no_step(dynamics: Moving) -> None:
    means, values = begun(dynamics), values_of(6)
    record(means, dynamics, values[:2])
    record(means, dynamics, values[2:], ~SECOND)
    assert_allclose(means.statistics()["load"], np.where(SECOND, values[:2].mean(0), values.mean(0)))


def test_before_the_first_step_every_mean_is_zero(dynamics: Moving) -> None:
    assert {name: mean.tolist() for name, mean in begun(dynamics).statistics().items()} == dict.fromkeys(FIGURES, [0.0] * 3)


def test_two_of_the_same_figures_share_nothing(dynamics: Moving) -> None:
    one, other = begun(dynamics), begun(dynamics)
    record(one, dynamics, np.ones((3, N_ENVS)))
    record(other, dynamics, np.ones((2, N_ENVS)))
    assert other.statistics()["so_far"].tolist() == [1.5] * 3
    record(one, dynamics, np.ones((1, N_ENVS)))
    assert one.statistics()["so_far"].tolist() == [2.5] * 3


def test_the_objective_is_minus_the_sum_of_the_means_unless_there_is_another(dynamics: Moving) -> None:
    means, own = begun(dynamics), begun(dynamics, objective=lambda statistics: 2 * statistics["load"])
    statistics = {"load": np.array([1.0]), "square": np.array([2.0]), "so_far": np.array([4.0]), "else": np.array([8.0])}
    assert means.objective(statistics).tolist() == [-7.0]
    assert own.objective(statistics).tolist() == [2.0]


def test_figures_are_seen_by_name_in_their_order(dynamics: Moving) -> None:
    means = begun(dynamics)
    assert means.metric_names == means.observed_names == means.timeline_names == ("load", "square", "so_far")
    statistics = {name: np.arange(3.0) + 10 * i for i, name in enumerate(reversed(FIGURES))}
    observed = means.observed(statistics)
    assert observed.dtype == np.float32
    assert observed.tolist() == [[20.0, 10.0, 0.0], [21.0, 11.0, 1.0], [22.0, 12.0, 2.0]]


def test_the_setting_is_that_of_the_dynamics(dynamics: Moving) -> None:
    found = begun(dynamics).setting
    assert found.tolist() == [[1.0], [2.0], [3.0]]
    assert found.dtype == np.float64
