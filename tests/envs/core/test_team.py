from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from envs.core.team import TeamSpec, checked_actions

ONE = spaces.Box(1.0, 1.0, (1,), np.float32)


def team(space: spaces.Discrete | spaces.MultiDiscrete | spaces.Box) -> TeamSpec:
    return TeamSpec(("a", "b", "c"), ONE, space, ONE)


def test_a_team_counts_its_agents() -> None:
    assert team(spaces.Discrete(2)).n_agents == 3


def test_choices_become_integers() -> None:
    action = checked_actions(team(spaces.Discrete(4)), np.array([[0.0, 3.0, 1.0]]), 1)
    assert action.dtype == np.int64
    assert action.tolist() == [[0, 3, 1]]


def test_each_of_several_choices_has_its_own_size() -> None:
    spec, action = team(spaces.MultiDiscrete([2, 5])), np.tile([1, 4], (2, 3, 1))
    assert np.array_equal(checked_actions(spec, action, 2), action)
    with pytest.raises(ValueError, match=r"^actions must be integers >= 0 and < 2, 5, got 4$"):
        checked_actions(spec, action[..., ::-1], 2)
    with pytest.raises(ValueError, match=r"^actions must have shape \(2, 3, 2\), got \(2, 3\)$"):
        checked_actions(spec, action[..., 0], 2)


def test_as_many_choices_as_envs_or_agents_are_no_other_thing() -> None:
    spec = team(spaces.MultiDiscrete([9, 9, 2]))
    with pytest.raises(ValueError, match=r"got 2$"):
        checked_actions(spec, np.full((3, 3, 3), 2), 3)


@pytest.mark.parametrize("wrong", [-1.0, 4.0, 1.5, np.nan])
def test_what_is_no_choice_is_refused(wrong: float) -> None:
    action = np.array([[0.0, 1.0, 2.0], [3.0, wrong, 0.0]])
    with pytest.raises(ValueError, match=f"^actions must be integers >= 0 and < 4, got {wrong}$"):
        checked_actions(team(spaces.Discrete(4)), action, 2)


def test_numbers_are_held_within_bounds_and_must_be_finite() -> None:
    spec = team(spaces.Box(np.array([0.0, -1.0], np.float32), np.array([1.0, 2.0], np.float32)))
    action = np.array([[[-5.0, -5.0], [0.5, 0.5], [5.0, 5.0]]])
    assert checked_actions(spec, action, 1).tolist() == [[[0.0, -1.0], [0.5, 0.5], [1.0, 2.0]]]
    assert action[0, 0, 0] == -5.0
    action[0, 1, 1] = np.inf
    with pytest.raises(ValueError, match=r"^actions must be finite, got inf$"):
        checked_actions(spec, action, 1)
