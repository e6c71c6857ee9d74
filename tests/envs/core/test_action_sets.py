"""Masks over discrete choices, and the nearest action that one allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from envs.core.action_sets import MAX_ACTIONS, choice_sizes, every_action, project
from tests.envs.load_balancing.pools import PROPERTY

N_ENVS = 4


@st.composite
def masked(draw: st.DrawFn) -> tuple[spaces.Space[Any], np.ndarray, np.ndarray]:
    """A space, an action of each env and a mask for each; some choices have no valid value."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = rng.random((N_ENVS, sum(sizes))) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    action = rng.integers(0, sizes, (N_ENVS, len(sizes)))
    if len(sizes) == 1 and draw(st.booleans()):
        return spaces.Discrete(sizes[0]), action[:, 0], mask
    return spaces.MultiDiscrete(sizes), action, mask


def choices(space: spaces.Space[Any], action: np.ndarray, mask: np.ndarray) -> list[tuple[int, list[int]]]:
    """Every choice of every env: its value, and the valid ones."""
    found = []
    for row, allowed in zip(action.reshape(N_ENVS, -1).tolist(), mask, strict=True):
        parts = np.split(allowed, np.cumsum(choice_sizes(space))[:-1])
        found += [(value, np.flatnonzero(part).tolist()) for value, part in zip(row, parts, strict=True)]
    return found


@PROPERTY
@given(masked())
def test_every_choice_moves_to_the_nearest_valid_value_the_lower_of_two(case: Any) -> None:
    space, action, mask = case
    found, _ = project(space, action, mask)
    for (wanted, valid), (taken, _) in zip(choices(space, action, mask), choices(space, found, mask), strict=True):
        expected = min(valid, key=lambda value: (abs(value - wanted), value)) if valid else wanted
        assert taken == expected


@PROPERTY
@given(masked())
def test_a_projected_action_is_valid_where_a_choice_has_a_valid_value(case: Any) -> None:
    space, action, mask = case
    found, _ = project(space, action, mask)
    assert all(taken in valid for taken, valid in choices(space, found, mask) if valid)
    assert found.shape == action.shape
    assert all(space.contains(one) for one in found)


@PROPERTY
@given(masked())
def test_a_valid_action_stays_and_what_differs_is_told(case: Any) -> None:
    space, action, mask = case
    found, changed = project(space, action, mask)
    assert changed.tolist() == [bool(np.any(was != now)) for was, now in zip(action, found, strict=True)]
    open_mask = np.ones_like(mask)
    stays, changed = project(space, action, open_mask)
    assert np.array_equal(stays, action)
    assert not changed.any()


@PROPERTY
@given(masked())
def test_projecting_again_changes_nothing(case: Any) -> None:
    space, action, mask = case
    once, _ = project(space, action, mask)
    twice, changed = project(space, once, mask)
    assert np.array_equal(once, twice)
    assert not changed.any()


def test_the_action_that_is_projected_is_left_as_it_was() -> None:
    action = np.array([3])
    found, _ = project(spaces.Discrete(4), action, np.array([[True, False, False, False]]))
    assert found.tolist() == [0]
    assert action.tolist() == [3]


@pytest.mark.parametrize("action", [50, -30])
def test_an_action_outside_its_space_is_not_taken_to_a_forbidden_one(action: int) -> None:
    valid = np.array([[False, False, True, True, False]])
    found, _ = project(spaces.Discrete(5), np.array([action]), valid)
    assert valid[0, found[0]]


def test_the_choices_of_a_space_are_counted() -> None:
    assert choice_sizes(spaces.Discrete(7)) == [7]
    assert choice_sizes(spaces.MultiDiscrete([2, 5])) == [2, 5]
    assert choice_sizes(spaces.Box(0, 1, (2,))) == []


@pytest.mark.parametrize("sizes", [[4], [3, 2], [2, 3, 4]])
def test_every_action_is_there_once(sizes: list[int]) -> None:
    space = spaces.MultiDiscrete(sizes)
    found = every_action(space)
    assert found.shape == (np.prod(sizes), len(sizes))
    assert len(np.unique(found, axis=0)) == len(found)
    assert all(space.contains(action) for action in found)


def test_the_actions_of_a_single_choice_are_numbers() -> None:
    assert every_action(spaces.Discrete(5)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "space", [spaces.Box(-1, 1, (2,)), spaces.Discrete(MAX_ACTIONS + 1), spaces.MultiDiscrete([71, 71])]
)
def test_continuous_and_too_many_actions_are_refused_in_one_line(space: spaces.Space[Any]) -> None:
    with pytest.raises(ValueError, match=r"^ablation.constants must be false unless there are 1 to 5,000 actions, got .+$"):
        every_action(space)


def test_as_many_actions_as_are_allowed_are_tried() -> None:
    assert len(every_action(spaces.Discrete(MAX_ACTIONS))) == MAX_ACTIONS
