"""Intervals cover what they promise, comparisons are paired, and a gap that is not there is not closed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hierarchy.evidence import statistics
from hierarchy.evidence.statistics import comparison, estimate, gap_closed, not_behind, t_interval, units

SAMPLE = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0, 6.0])
values = arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


def normal(seed: int, n: int = 10, mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, n)


def single(*arms: np.ndarray) -> list[np.ndarray]:
    """Figures of a single training seed from those of its evaluation seeds, ``(1, n)`` each."""
    return [arm[None] for arm in arms]


def test_the_interval_is_students() -> None:
    half_width = stats.t.ppf(0.975, 7) * SAMPLE.std(ddof=1) / math.sqrt(8)
    assert t_interval(SAMPLE) == pytest.approx([4.5 - half_width, 4.5 + half_width])
    found = stats.ttest_1samp(SAMPLE, 0.0).confidence_interval(0.95)
    assert t_interval(SAMPLE) == pytest.approx([found.low, found.high])


def test_the_interval_covers_the_mean_in_95_of_100_samples() -> None:
    n_samples = 3000
    samples = np.random.default_rng(0).normal(7.0, 3.0, (n_samples, 10))
    intervals = np.array([t_interval(sample) for sample in samples])
    coverage = ((intervals[:, 0] <= 7.0) & (intervals[:, 1] >= 7.0)).mean()
    assert abs(coverage - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_samples)


@given(values)
def test_the_interval_holds_the_mean(sample: np.ndarray) -> None:
    low, high = t_interval(sample)
    assert low <= sample.mean() + 1e-9 * abs(sample.mean())
    assert high >= sample.mean() - 1e-9 * abs(sample.mean())


@pytest.mark.parametrize("sample", [[3.0], [3.0, 3.0, 3.0]], ids=str)
def test_without_spread_the_interval_is_the_mean(sample: list[float]) -> None:
    assert t_interval(np.array(sample)) == [3.0, 3.0]


def test_an_estimate_is_mean_and_interquartile_mean() -> None:
    found = estimate(*single(SAMPLE))
    assert found["mean"] == pytest.approx(4.5)
    assert found["iqm"] == pytest.approx(np.mean([3.0, 4.0, 5.0, 6.0]))
    assert found["ci95"] == t_interval(SAMPLE)
    assert found["per_seed"] == SAMPLE.tolist()


def test_the_interquartile_mean_ignores_outliers() -> None:
    outlier = SAMPLE.copy()
    outlier[3] = 1e9
    assert estimate(*single(outlier))["iqm"] == estimate(*single(SAMPLE))["iqm"]
    assert estimate(*single(outlier))["mean"] > 1e6


# One arm over another.


def test_noise_that_both_arms_share_cancels() -> None:
    noise = 1000.0 * normal(0)
    found = comparison(*single(noise + 1.0, noise))
    assert found["difference"] == pytest.approx(1.0)
    assert found["ci95"] == pytest.approx([1.0, 1.0], abs=1e-6)


def test_the_interval_is_of_the_paired_difference() -> None:
    ours, theirs = normal(1), normal(2)
    found = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert comparison(*single(ours, theirs))["ci95"] == pytest.approx([found.low, found.high])
    assert comparison(*single(ours, theirs[::-1]))["ci95"] != pytest.approx([found.low, found.high])


@given(values)
def test_changing_sides_changes_the_sign(sample: np.ndarray) -> None:
    other = sample[::-1]
    one, two = comparison(*single(sample, other)), comparison(*single(other, sample))
    assert one["difference"] == pytest.approx(-two["difference"], abs=1e-6)
    assert one["p_better"] == pytest.approx(1.0 - two["p_better"])


@pytest.mark.parametrize(
    ("ours", "p_better"),
    [([2, 2, 2, 2], 1.0), ([0, 0, 0, 0], 0.0), ([1, 1, 1, 1], 0.5), ([2, 2, 0, 1], 0.625)],
)
def test_p_better_counts_seeds_and_half_of_the_ties(ours: list[float], p_better: float) -> None:
    assert comparison(*single(np.array(ours, float), np.ones(4)))["p_better"] == p_better


@pytest.mark.parametrize(("theirs", "percent"), [(2.0, 50.0), (-2.0, 50.0), (0.0, None)])
def test_percent_is_of_the_size_of_the_other_arm(theirs: float, percent: float | None) -> None:
    assert comparison(*single(np.full(3, theirs + 1.0), np.full(3, theirs)))["percent"] == percent


@pytest.mark.parametrize("mean", [0.2, -0.2])
def test_there_is_no_percent_of_what_is_not_told_from_zero(mean: float) -> None:
    theirs = mean + np.array([-1.0, 0.0, 1.0])
    assert comparison(*single(theirs + 1.0, theirs))["percent"] is None
    assert comparison(*single(theirs + 1.0 + 30 * mean, theirs + 30 * mean))["percent"] == pytest.approx(100 / 6.2)


# The gap between the best fixed mix and the delayed oracle.


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


@pytest.mark.parametrize(("low", "rival", "shown"), [(-0.019, 1.0, True), (-0.021, 1.0, False), (-0.19, -10.0, True)])
def test_not_behind_is_within_two_percent_of_the_rival(low: float, rival: float, shown: bool) -> None:
    compared = comparison(*single(SAMPLE, SAMPLE))
    assert not_behind({**compared, "ci95": [low, 1.0]}, rival) == shown


def test_a_single_unit_shows_nothing() -> None:
    assert not not_behind(comparison(np.array([[0.5]]), np.array([[0.4]])), 0.4)


# Several training seeds with evaluation seeds of their own.


N_TRAINING, N_EVALUATION, TRUTH = 10, 20, 3.0


def studies(n: int, seed: int = 0) -> np.ndarray:
    """Figures ``(n, n_training, n_evaluation)``: luck in training and in evaluation, of one size, around the truth."""
    rng = np.random.default_rng(seed)
    training, evaluation = rng.normal(size=(n, N_TRAINING, 1)), rng.normal(size=(n, N_TRAINING, N_EVALUATION))
    return TRUTH + training + evaluation


def coverage(intervals: list[list[float]], truth: float = TRUTH) -> float:
    low, high = np.array(intervals).T
    return float(((low <= truth) & (truth <= high)).mean())


def test_over_training_seeds_the_interval_covers_and_over_pooled_episodes_it_does_not() -> None:
    n_studies = 2000
    found = studies(n_studies)
    over_units = coverage([t_interval(units(values)) for values in found])
    assert abs(over_units - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_studies)
    assert coverage([t_interval(values.ravel()) for values in found]) < 0.62


def test_estimates_and_differences_stand_on_training_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "N_RESAMPLES", 400)
    n_studies = 400
    noise, bound = 5.0 * studies(n_studies, 1), 4 * math.sqrt(0.95 * 0.05 / n_studies)
    alone = [estimate(values) for values in studies(n_studies)]
    paired = [comparison(values + shared, shared) for values, shared in zip(studies(n_studies), noise, strict=True)]
    for found in (alone, paired):
        assert abs(coverage([one["ci95"] for one in found]) - 0.95) < bound
        beside = [one["bootstrap_ci95"] for one in found]
        assert None not in beside
        assert coverage(beside) >= 0.88  # type: ignore[arg-type]


def test_the_bootstrap_lets_training_and_evaluation_seeds_vary() -> None:
    spread_of = {"training": np.repeat(normal(0)[:, None], 8, axis=1), "evaluation": np.repeat(normal(1)[None], 8, axis=0)}
    for name, values in spread_of.items():
        low, high = estimate(values)["bootstrap_ci95"] or (0.0, 0.0)
        half_width = 1.96 * values.std() / math.sqrt(10)
        assert (high - low) / 2 == pytest.approx(half_width, rel=0.15), name
    assert estimate(np.full((3, 4), 2.0))["bootstrap_ci95"] == [2.0, 2.0]


def test_a_single_training_seed_leaves_its_evaluation_seeds_as_units() -> None:
    found = estimate(*single(SAMPLE))
    assert found["ci95"] == t_interval(SAMPLE)
    assert found["per_seed"] == SAMPLE.tolist()
    assert found["bootstrap_ci95"] is None
    assert comparison(*single(SAMPLE, SAMPLE[::-1]))["bootstrap_ci95"] is None


def test_a_single_evaluation_seed_leaves_training_seeds_as_units() -> None:
    found = estimate(SAMPLE[:, None])
    assert found["ci95"] == t_interval(SAMPLE)
    assert found["bootstrap_ci95"] is None


def test_per_seed_and_median_are_of_training_seeds() -> None:
    values = np.array([[0.0, 2.0], [3.0, 5.0], [100.0, 104.0]])
    found = estimate(values)
    assert found["per_seed"] == [1.0, 4.0, 102.0]
    assert (found["mean"], found["median"]) == (pytest.approx(107 / 3), 4.0)
    assert found["ci95"] == t_interval(np.array([1.0, 4.0, 102.0]))


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
