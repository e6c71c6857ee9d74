"""Actions are projected to the simplex and drawn for its points, and its grid is all of it at a spacing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.context import ContextDistribution
from envs.core.simplex import SCALE, draw_action, simplex_grid, to_action, to_simplex

ACTIONS = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(-1.0, 1.0))
THREE = arrays(np.float64, 3, elements=st.floats(-1.0, 1.0))


def mixes(n: int = 200) -> np.ndarray:
    """Contexts ``(n, 3)`` as agents meet them: inside, on edges, at corners."""
    return np.stack([ContextDistribution(corner_share=0.6).draw(3, key) for key in range(n)])


@given(ACTIONS)
def test_any_action_is_mapped_to_the_simplex(action: np.ndarray) -> None:
    mix = to_simplex(action)
    assert mix.shape == action.shape
    assert (mix >= 0).all()
    assert_allclose(mix.sum(-1), 1.0, rtol=1e-12)


@given(ACTIONS)
def test_no_point_of_the_simplex_is_nearer(action: np.ndarray) -> None:
    """The way from the projection to the point is at no acute angle with the way to any corner."""
    point, mix = SCALE * action, to_simplex(action)
    to_corners = np.eye(action.shape[-1]) - mix[:, None]
    assert (np.einsum("nk,nck->nc", point - mix, to_corners) <= 1e-12).all()


@given(THREE, THREE)
def test_mixes_are_as_near_as_their_actions_everywhere(one: np.ndarray, other: np.ndarray) -> None:
    apart = np.linalg.norm(to_simplex(one) - to_simplex(other))
    assert apart <= SCALE * np.linalg.norm(one - other) + 1e-12


@pytest.mark.parametrize("corner", range(3))
def test_corners_are_reached_where_tanh_is_not_saturated(corner: int) -> None:
    direction = 2.0 * np.eye(3)[corner] - 1.0
    reached = 1.0 / (2.0 * SCALE)
    for size in (1.0, 0.9, reached + 1e-9):
        assert_array_equal(to_simplex(size * direction), np.eye(3)[corner])
    assert to_simplex((reached - 0.01) * direction).max() < 1.0
    assert reached < 0.7


def test_the_cube_is_shared_out_as_the_table_says() -> None:
    n_terms = (to_simplex(np.random.default_rng(0).uniform(-1.0, 1.0, (100_000, 3))) > 0).sum(-1)
    assert [(n_terms == n).mean() for n in (3, 2, 1)] == pytest.approx([0.45, 0.52, 0.04], abs=0.006)


@pytest.mark.parametrize("action", [np.full(3, -1.0), np.zeros(3), np.ones(3), np.full(3, -7.0), np.full(3, 7.0)], ids=str)
def test_equal_actions_are_the_equal_mix(action: np.ndarray) -> None:
    with np.errstate(all="raise"):
        assert_allclose(to_simplex(action), 1 / 3)


def test_actions_beyond_the_box_count_as_its_border() -> None:
    assert_array_equal(to_simplex(np.array([9.0, -9.0, 0.0])), to_simplex(np.array([1.0, -1.0, 0.0])))


def test_every_mix_has_an_action_well_inside() -> None:
    actions = to_action(mixes())
    assert_allclose(to_simplex(actions), mixes(), atol=1e-12)
    assert np.abs(actions).max() < 0.7


def test_all_drawn_actions_stand_for_their_mix() -> None:
    rng = np.random.default_rng(0)
    for mix in mixes():
        actions = np.stack([draw_action(mix, rng) for _ in range(20)]).astype(np.float32)
        assert_allclose(to_simplex(actions), np.broadcast_to(mix, actions.shape), atol=1e-6)
        assert_array_equal(to_simplex(actions) == 0, np.broadcast_to(mix == 0, actions.shape), err_msg="edges stay edges")
        assert np.abs(actions).max() <= 1.0
        assert len(np.unique(actions, axis=0)) == 20


def test_drawn_actions_reach_all_of_the_cube() -> None:
    rng = np.random.default_rng(0)
    corner = np.stack([draw_action(np.array([1.0, 0.0, 0.0]), rng) for _ in range(2000)])
    assert_allclose([corner.min(0), corner.max(0)], [[1 / 3, -1, -1], [1, -1 / 3, -1 / 3]], atol=0.05)
    assert np.abs(np.corrcoef(corner.T)[1, 2]) < 0.9, "weights of 0 are lowered each by itself"
    inside = np.stack([draw_action(np.full(3, 1 / 3), rng) for _ in range(2000)])
    assert_allclose([inside.min(), inside.max()], [-1, 1], atol=0.01)


def test_a_single_weight_is_whole() -> None:
    action = draw_action(np.ones(1), np.random.default_rng(0))
    assert -1.0 <= action[0] <= 1.0
    assert_array_equal(to_simplex(action), [1.0])


@pytest.mark.parametrize(("n_terms", "n_points"), [(1, 2), (2, 2), (3, 2), (3, 5), (4, 4)])
def test_the_grid_is_all_of_the_simplex_at_its_spacing(n_terms: int, n_points: int) -> None:
    grid = simplex_grid(n_terms, n_points)
    parts = n_points - 1
    assert len(np.unique(grid, axis=0)) == len(grid) == math.comb(parts + n_terms - 1, n_terms - 1)
    assert_allclose(grid.sum(-1), 1.0)
    assert_allclose(grid * parts, (grid * parts).round())
    assert (grid >= 0).all()
    assert set(map(tuple, np.eye(n_terms))) <= set(map(tuple, grid))
