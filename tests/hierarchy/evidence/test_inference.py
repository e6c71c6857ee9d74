"""Intervals cover what they promise, and comparisons are paired."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hierarchy.evidence import statistics
from hierarchy.evidence.statistics import comparison, estimate, not_behind, t_interval, units
from tests.hierarchy.evidence.samples import normal, single

SAMPLE = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0, 6.0])
values = arrays(np.float64, st.integers(2, 12), elements=st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


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
