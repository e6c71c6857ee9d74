"""A gap between the best fixed mix and the delayed oracle that is not there is not closed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from hierarchy.evidence.statistics import gap_closed, t_interval
from tests.hierarchy.evidence.samples import normal, single

BASE = normal(3, spread=5.0)
ORACLE = BASE + normal(4, mean=2.0, spread=0.3)


def test_the_oracle_closes_all_of_the_gap() -> None:
    assert gap_closed(*single(ORACLE, BASE, ORACLE)) == {"mean": 1.0, "ci95": [1.0, 1.0]}


def test_the_best_fixed_mix_closes_none_of_it() -> None:
    assert gap_closed(*single(BASE, BASE, ORACLE)) == {"mean": 0.0, "ci95": [0.0, 0.0]}


@pytest.mark.parametrize("share", [-0.5, 0.25, 1.5])
def test_a_share_of_the_gap_is_found_even_outside_0_to_1(share: float) -> None:
    found = gap_closed(*single(BASE + share * (ORACLE - BASE), BASE, ORACLE))
    assert found is not None
    assert [found["mean"], *found["ci95"]] == pytest.approx([share] * 3)


def test_the_gap_closed_is_a_ratio_of_means() -> None:
    base, oracle = np.zeros(4), np.array([1.0, 2.0, 1.0, 2.0])
    found = gap_closed(*single(np.array([1.0, 0.0, 1.0, 0.0]), base, oracle))
    assert found is not None
    assert found["mean"] == pytest.approx(2 / 6)
    assert found["ci95"][0] < 2 / 6 < found["ci95"][1]


@pytest.mark.parametrize(
    "oracle", [BASE, BASE + normal(5), BASE + 0.1 * normal(6, mean=0.1)], ids=["same", "noise", "unclear"]
)
def test_a_gap_that_may_be_none_is_not_closed(oracle: np.ndarray) -> None:
    low, high = t_interval(oracle - BASE)
    assert low <= 0.0 <= high
    assert gap_closed(*single(ORACLE, BASE, oracle)) is None


def test_an_oracle_that_is_clearly_worse_leaves_no_gap() -> None:
    assert t_interval(BASE - ORACLE)[1] < 0.0
    assert gap_closed(*single(BASE, ORACLE, BASE)) is None


def test_one_seed_says_nothing_of_the_gap() -> None:
    assert gap_closed(*single(np.array([1.5]), np.array([1.0]), np.array([2.0]))) is None


def test_the_gap_is_paired_over_seeds() -> None:
    gain_of_all_seeds = gap_closed(*single(BASE + 0.5 * (ORACLE - BASE), BASE, ORACLE))
    shuffled = gap_closed(*single(BASE + 0.5 * (ORACLE - BASE)[::-1], BASE, ORACLE))
    assert gain_of_all_seeds is not None
    assert shuffled is not None
    assert np.ptp(gain_of_all_seeds["ci95"]) < 1e-9 < np.ptp(shuffled["ci95"])


Draw = Callable[[np.random.Generator, int], np.ndarray]


def skewed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Units of mean 0 and spread 1, some of them far above the others."""
    return rng.gamma(4.0, 0.5, n) - 2.0


def gaussian(rng: np.random.Generator, n: int) -> np.ndarray:
    """Units of mean 0 and spread 1."""
    return rng.normal(size=n)


@pytest.mark.parametrize("correlation", [0.0, 0.8])
@pytest.mark.parametrize("n", [5, 10])
@pytest.mark.parametrize("units_of", [gaussian, skewed])
def test_the_interval_of_the_gap_covers_its_share(units_of: Draw, n: int, correlation: float) -> None:
    """Of gain and gap that vary together; those that there are, since a gap that is not told from 0 has none."""
    n_samples, share, covered = 3000, 0.5, []
    rng = np.random.default_rng(n)
    for _ in range(n_samples):
        of_gap, own = units_of(rng, n), units_of(rng, n)
        gap = 2.0 + 0.8 * of_gap
        gain = share * gap + 0.6 * (correlation * of_gap + math.sqrt(1.0 - correlation**2) * own)
        found = gap_closed(*single(gain, np.zeros(n), gap))
        if found is not None:
            covered.append(found["ci95"][0] <= share <= found["ci95"][1])
    assert len(covered) > 0.9 * n_samples
    assert 0.93 <= np.mean(covered) <= 0.97


def test_fiellers_interval_holds_the_ratios_that_a_t_test_does_not_refuse() -> None:
    gap, gain = 2.0 + 0.8 * normal(0), 1.0 + normal(1)
    found = gap_closed(*single(gain, np.zeros(10), gap))
    assert found is not None
    for ratio in found["ci95"]:
        assert stats.ttest_1samp(gain - ratio * gap, 0.0).pvalue == pytest.approx(0.05)
    assert found["ci95"][0] < found["mean"] < found["ci95"][1]


def test_the_gap_is_clear_or_not_over_training_seeds() -> None:
    """One lucky training seed of many episodes makes no gap."""
    gap = np.array([[9.0], [0.1], [-0.1]]) + 0.01 * normal(0, 20)
    assert t_interval(gap.ravel())[0] > 0
    assert gap_closed(gap, np.zeros_like(gap), gap) is None
    clear = np.array([[2.0], [2.1], [1.9]]) + 0.01 * normal(0, 20)
    assert gap_closed(0.5 * clear, np.zeros_like(clear), clear) == {
        "mean": pytest.approx(0.5),
        "ci95": pytest.approx([0.5, 0.5]),
    }
