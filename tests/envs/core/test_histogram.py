from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.histogram import EDGES_S, GROWTH, MIN_S, N_BINS, bin_index, quantile
from tests.envs.load_balancing.pools import PROPERTY

N_SAMPLES = 200_000
DISTRIBUTIONS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "lognormal": lambda rng: rng.lognormal(-2.0, 1.5, N_SAMPLES),
    "exponential": lambda rng: rng.exponential(0.1, N_SAMPLES),
    "pareto": lambda rng: 0.01 * (1.0 - rng.random(N_SAMPLES)) ** (-1 / 1.5),
    "uniform": lambda rng: rng.uniform(0.5, 0.6, N_SAMPLES),
    "constant": lambda rng: np.full(N_SAMPLES, 0.25),
}


def histogram(values: np.ndarray) -> np.ndarray:
    return np.bincount([bin_index(value) for value in values], minlength=N_BINS)


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_quantiles_are_within_two_percent_of_the_exact_ones(name: str, q: float) -> None:
    values = DISTRIBUTIONS[name](np.random.default_rng(0))
    assert quantile(histogram(values), q) == pytest.approx(np.quantile(values, q), rel=0.02)


@PROPERTY
@given(st.lists(st.floats(1e-3, 900.0), min_size=1, max_size=30))
def test_the_extreme_quantiles_are_the_smallest_and_the_largest(values: list[float]) -> None:
    counts = histogram(np.array(values))
    assert quantile(counts, 1.0) == pytest.approx(max(values), rel=0.021)
    assert quantile(counts, 0.0) == pytest.approx(min(values), rel=0.021)


@PROPERTY
@given(st.floats(1.001 * MIN_S, 1000.0))
def test_a_value_lies_in_its_bucket(value: float) -> None:
    low = MIN_S * GROWTH ** bin_index(value)
    assert low * (1 - 1e-9) <= value <= low * GROWTH * (1 + 1e-9)


def test_what_is_out_of_range_goes_to_the_first_or_last_bucket() -> None:
    assert [bin_index(value) for value in (0.0, 1e-9, MIN_S)] == [0, 0, 0]
    assert [bin_index(value) for value in (1e5, 1e12)] == [N_BINS - 1, N_BINS - 1]


def test_histograms_add_up() -> None:
    rng = np.random.default_rng(1)
    fast, slow = rng.exponential(0.1, 20_000), rng.exponential(5.0, 20_000)
    together = quantile(histogram(fast) + histogram(slow), 0.95)
    assert together == pytest.approx(np.quantile(np.concatenate([fast, slow]), 0.95), rel=0.02)


@PROPERTY
@given(st.dictionaries(st.integers(0, N_BINS - 1), st.integers(1, 5), min_size=1), st.lists(st.floats(0, 1), min_size=2))
def test_quantiles_never_decrease_in_q(filled: dict[int, int], qs: list[float]) -> None:
    counts = np.zeros(N_BINS, np.int64)
    counts[list(filled)] = list(filled.values())
    values = [float(quantile(counts, q)) for q in sorted(qs)]
    assert values == sorted(values)


def test_an_empty_histogram_reads_zero() -> None:
    counts = np.zeros((2, N_BINS))
    counts[1, 100] = 1
    assert quantile(counts, 0.5)[0] == 0.0
    assert quantile(counts, 0.5)[1] > 0.0


def test_every_histogram_of_an_array_is_read_by_itself() -> None:
    rng = np.random.default_rng(2)
    counts = rng.integers(0, 3, (2, 3, N_BINS))
    rows = [[float(quantile(counts[i, j], 0.9)) for j in range(3)] for i in range(2)]
    assert np.array_equal(quantile(counts, 0.9), rows)


@pytest.mark.parametrize("q", [-0.01, 1.01, float("nan")])
def test_a_quantile_outside_zero_and_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=r"q must be in \[0, 1\], got "):
        quantile(np.ones(N_BINS), q)


@PROPERTY
@given(st.floats(2e-4, 900.0))
def test_a_value_lies_between_the_edges_of_its_bucket(value: float) -> None:
    index = bin_index(value)
    assert EDGES_S[index] <= value * (1 + 1e-9)
    assert value <= EDGES_S[index + 1] * (1 + 1e-9)
    assert len(EDGES_S) == N_BINS + 1
