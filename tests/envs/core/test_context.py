from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.core.context import ContextSampling, check_context
from tests.envs.load_balancing.pools import PROPERTY, standard_errors

NAMES = ("fairness", "latency", "cost")


def drawn(n_terms: int, n: int = 20_000, **settings: float) -> np.ndarray:
    sampling = ContextSampling(**settings)
    keys = np.random.default_rng(0).integers(0, 2**63, n)
    return np.array([sampling.draw(n_terms, int(key)) for key in keys])


@PROPERTY
@given(st.integers(1, 6), st.integers(0, 2**64 - 1), st.floats(0.05, 20.0), st.floats(0.0, 1.0))
def test_contexts_lie_on_the_simplex(n_terms: int, key: int, alpha: float, corner_share: float) -> None:
    context = ContextSampling(alpha=alpha, corner_share=corner_share).draw(n_terms, key)
    assert context.shape == (n_terms,)
    assert (context >= 0).all()
    assert context.sum() == pytest.approx(1.0)


def test_equal_bits_give_equal_contexts() -> None:
    sampling = ContextSampling()
    assert np.array_equal(sampling.draw(3, 12345), sampling.draw(3, 12345))
    assert not np.array_equal(sampling.draw(3, 12345), sampling.draw(3, 12346))


@pytest.mark.parametrize("corner_share", [0.2, 0.6])
def test_corners_and_edges_have_their_share_half_each(corner_share: float) -> None:
    n_used = (drawn(3, corner_share=corner_share) > 0).sum(-1)
    assert standard_errors(n_used < 3, corner_share) < 4
    assert standard_errors(n_used == 1, corner_share / 2) < 4
    assert standard_errors(n_used == 2, corner_share / 2) < 4


def test_no_term_is_preferred() -> None:
    contexts = drawn(3, corner_share=0.2)
    for term in range(3):
        assert standard_errors(contexts[:, term], 1 / 3) < 4
        assert standard_errors(contexts[:, term] == 1.0, 0.1 / 3) < 4
        assert standard_errors(contexts[:, term] == 0.0, 0.1 * 2 / 3 + 0.1 / 3) < 4


def test_inside_the_simplex_contexts_are_uniform_by_default() -> None:
    """Each weight of a flat Dirichlet of three is Beta(1, 2): its square has mean 1/6."""
    contexts = drawn(3, corner_share=0.0)
    for term in range(3):
        assert standard_errors(contexts[:, term] ** 2, 1 / 6) < 4


def test_a_higher_concentration_draws_contexts_to_the_middle() -> None:
    assert drawn(3, 2000, corner_share=0.0, alpha=20.0).std() < 0.5 * drawn(3, 2000, corner_share=0.0).std()


def test_a_world_with_one_term_has_one_context() -> None:
    assert np.allclose(drawn(1, 100), 1.0)


def test_one_context_serves_all_envs_or_each_has_its_own() -> None:
    same = check_context(np.array([0.2, 0.3, 0.5]), 2, NAMES)
    assert same.tolist() == [[0.2, 0.3, 0.5]] * 2
    rows = [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    assert check_context(np.array(rows), 2, NAMES).tolist() == rows


def test_a_checked_context_is_a_copy() -> None:
    given_context = np.array([[0.2, 0.3, 0.5]])
    checked = check_context(given_context, 1, NAMES)
    checked[0, 0] = 9.0
    assert given_context[0, 0] == 0.2


@pytest.mark.parametrize("context", [[0.5, 0.5], [0.25] * 4, [[1.0, 0.0, 0.0]] * 3, 1.0])
def test_a_context_of_another_length_is_refused_with_the_names_of_the_terms(context: object) -> None:
    with pytest.raises(ValueError, match=r"context must have 3 weights \(fairness, latency, cost\), got shape "):
        check_context(np.array(context), 2, NAMES)


@pytest.mark.parametrize(
    "context", [[0.5, 0.5, 0.5], [1.2, -0.2, 0.0], [0.0, 0.0, 0.0], [np.nan, 0.5, 0.5], [np.inf, 0.0, 0.0]]
)
def test_a_context_off_the_simplex_is_refused(context: list[float]) -> None:
    with pytest.raises(ValueError, match="context must be weights >= 0 that sum to 1, got "):
        check_context(np.array(context), 2, NAMES)
