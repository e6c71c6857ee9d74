from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from envs.core.fairness import MEASURES, jain, unfairness
from tests.envs.load_balancing.pools import PROPERTY

shares = st.integers(2, 8).flatmap(lambda n: arrays(np.float64, n, elements=st.one_of(st.just(0.0), st.floats(0.01, 100.0))))
positive_shares = st.integers(2, 8).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(0.01, 100.0)))


def everywhere(x: np.ndarray) -> np.ndarray:
    return np.ones(x.shape, np.bool_)


@PROPERTY
@given(shares)
def test_jain_lies_between_one_nth_and_one(x: np.ndarray) -> None:
    index = jain(x, everywhere(x))
    assert 1.0 / len(x) - 1e-9 <= index <= 1.0 + 1e-9


@pytest.mark.parametrize("n_equal", [1, 2, 3, 5])
def test_jain_of_k_equal_shares_among_n_is_k_over_n(n_equal: int) -> None:
    x = np.array([3.0] * n_equal + [0.0] * (5 - n_equal))
    assert jain(x, everywhere(x)) == pytest.approx(n_equal / 5)


def test_jain_of_a_known_allocation() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert jain(x, everywhere(x)) == pytest.approx(36.0 / (3.0 * 14.0))


def test_jain_of_nothing_is_fair() -> None:
    assert jain(np.zeros(4), np.ones(4, np.bool_)) == 1.0


@PROPERTY
@given(shares, st.floats(1e-3, 1e6))
@pytest.mark.parametrize("name", ["jain", "cv"])
def test_relative_measures_do_not_depend_on_the_unit(name: str, x: np.ndarray, unit: float) -> None:
    measure = MEASURES[name]
    assert measure(unit * x, everywhere(x)) == pytest.approx(measure(x, everywhere(x)), rel=1e-6, abs=1e-9)


@PROPERTY
@given(shares, st.floats(1e-3, 1e6), st.sampled_from(sorted(MEASURES)))
def test_unfairness_does_not_depend_on_the_unit(x: np.ndarray, unit: float, name: str) -> None:
    assert unfairness(unit * x, everywhere(x), name) == pytest.approx(unfairness(x, everywhere(x), name), abs=1e-6)


@PROPERTY
@given(positive_shares, st.data(), st.sampled_from(sorted(MEASURES)))
def test_a_mask_is_the_same_as_leaving_out(x: np.ndarray, data: st.DataObject, name: str) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(x), max_size=len(x)).filter(any)))
    kept = np.ones(mask.sum(), np.bool_)
    assert MEASURES[name](x, mask) == pytest.approx(MEASURES[name](x[mask], kept), rel=1e-9, abs=1e-9)
    assert unfairness(x, mask, name) == pytest.approx(unfairness(x[mask], kept, name), abs=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_no_measure_fails_when_nobody_takes_part(name: str) -> None:
    nobody = np.zeros(3, np.bool_)
    assert np.isfinite(MEASURES[name](np.ones(3), nobody))
    assert unfairness(np.ones(3), nobody, name) == 0.0


@PROPERTY
@given(positive_shares.filter(lambda x: np.ptp(x) > 1e-2))
@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_prefers_equal_to_unequal(name: str, x: np.ndarray) -> None:
    equal = np.full_like(x, x.mean())
    assert MEASURES[name](equal, everywhere(x)) > MEASURES[name](x, everywhere(x))


@PROPERTY
@given(positive_shares, st.data(), st.sampled_from(sorted(MEASURES)))
def test_giving_from_the_rich_to_the_poor_is_never_less_fair(x: np.ndarray, data: st.DataObject, name: str) -> None:
    poor, rich = int(x.argmin()), int(x.argmax())
    given_away = data.draw(st.floats(0.0, 0.5)) * (x[rich] - x[poor])
    after = x.copy()
    after[poor] += given_away
    after[rich] -= given_away
    assert unfairness(after, everywhere(x), name) <= unfairness(x, everywhere(x), name) + 1e-9


@PROPERTY
@given(shares)
@pytest.mark.parametrize("name", MEASURES)
def test_unfairness_is_a_loss_between_zero_and_one(name: str, x: np.ndarray) -> None:
    assert 0.0 <= unfairness(x, everywhere(x), name) <= 1.0


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("name", MEASURES)
def test_unfairness_is_zero_when_equal_and_one_when_one_takes_all(name: str, n: int) -> None:
    mask = np.ones(n, np.bool_)
    for winner in range(n):
        assert unfairness(5.0 * np.eye(n)[winner], mask, name) == pytest.approx(1.0)
    assert unfairness(np.full(n, 0.3), mask, name) == pytest.approx(0.0)


def test_unfairness_by_jain_is_its_distance_from_one() -> None:
    x = np.array([1.0, 2.0, 3.0, 0.0])
    index = 36.0 / (4.0 * 14.0)
    assert unfairness(x, everywhere(x), "jain") == pytest.approx((1 - index) / (1 - 1 / 4))


@pytest.mark.parametrize("name", MEASURES)
def test_a_server_alone_is_always_fair(name: str) -> None:
    assert unfairness(np.array([7.0, 0.0]), np.array([True, False]), name) == 0.0


@pytest.mark.parametrize("name", MEASURES)
def test_rows_of_a_batch_do_not_mix(name: str) -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.random((6, 4)), rng.random((6, 4)) < 0.7
    rows = np.array([unfairness(x[i], mask[i], name) for i in range(6)])
    assert np.array_equal(unfairness(x, mask, name), rows)
