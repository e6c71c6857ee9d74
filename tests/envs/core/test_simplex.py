"""Actions are mapped to the simplex, and its grid is all of it at a spacing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.simplex import simplex_grid, to_simplex


@given(arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(-1.0, 1.0)))
def test_any_action_is_mapped_to_the_simplex(action: np.ndarray) -> None:
    mix = to_simplex(action)
    assert mix.shape == action.shape
    assert (mix > 0).all()
    assert_allclose(mix.sum(-1), 1.0, rtol=1e-12)


@given(arrays(np.float64, 3, elements=st.floats(-1.0, 1.0)))
def test_weights_are_in_the_ratio_of_the_shifted_actions(action: np.ndarray) -> None:
    mix, shifted = to_simplex(action), (action + 1) / 2 + 1e-3
    assert_allclose(np.outer(mix, shifted), np.outer(shifted, mix), atol=1e-12)


@pytest.mark.parametrize("corner", range(3))
def test_corners_are_reachable(corner: int) -> None:
    action = np.full(3, -1.0)
    action[corner] = 1.0
    mix = to_simplex(action)
    assert mix.argmax() == corner
    assert mix.max() >= 0.998


@pytest.mark.parametrize("action", [np.full(3, -1.0), np.zeros(3), np.ones(3), np.full(3, -7.0), np.full(3, 7.0)], ids=str)
def test_equal_actions_are_the_equal_mix(action: np.ndarray) -> None:
    with np.errstate(all="raise"):
        assert_allclose(to_simplex(action), 1 / 3)


def test_actions_beyond_the_box_count_as_its_border() -> None:
    assert_array_equal(to_simplex(np.array([9.0, -9.0, 0.0])), to_simplex(np.array([1.0, -1.0, 0.0])))


@pytest.mark.parametrize(("n_terms", "n_points"), [(1, 2), (2, 2), (3, 2), (3, 5), (4, 4)])
def test_the_grid_is_all_of_the_simplex_at_its_spacing(n_terms: int, n_points: int) -> None:
    grid = simplex_grid(n_terms, n_points)
    parts = n_points - 1
    assert len(np.unique(grid, axis=0)) == len(grid) == math.comb(parts + n_terms - 1, n_terms - 1)
    assert_allclose(grid.sum(-1), 1.0)
    assert_allclose(grid * parts, (grid * parts).round())
    assert (grid >= 0).all()
    assert set(map(tuple, np.eye(n_terms))) <= set(map(tuple, grid))
