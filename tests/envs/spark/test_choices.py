"""What an agent of the stream world may choose: executors within reach, memory, tier, compression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

import envs
from envs.core.batch import BatchEnv
from envs.spark.config import SparkConfig

N_TERMS = 3


def batch_of(n_envs: int = 2, **settings: Any) -> BatchEnv:
    return envs.make(SparkConfig(**settings), n_envs, 1)


def executors(batch: BatchEnv) -> np.ndarray:
    """In use ``(n_envs,)``."""
    return batch.setting[:, 0]


@pytest.mark.parametrize(
    ("form", "actions", "space"),
    [
        ("base", "executors", spaces.Discrete(20)),
        ("extended", "executors", spaces.Discrete(20)),
        ("base", "all", spaces.MultiDiscrete([20, 8, 4])),
        ("extended", "all", spaces.MultiDiscrete([20, 8, 4, 3])),
    ],
)
def test_an_action_is_a_value_of_every_choice(form: str, actions: str, space: spaces.Space[Any]) -> None:
    batch = batch_of(form=form, actions=actions)
    assert batch.action_space == space
    batch.reset()
    assert batch.simulation.dynamics.action_set is None
    batch.step(np.zeros((2, *(space.shape or ())), int))
    assert executors(batch).tolist() == [1, 1]


@pytest.mark.parametrize("action", [[0, 20], [-1, 0], [[0, 0], [0, 0]]])
def test_an_action_out_of_range_or_of_another_shape_is_refused(action: Any) -> None:
    batch = batch_of()
    batch.reset()
    with pytest.raises(ValueError, match=r"^actions must be 1 choices below \(20,\) for 2 envs, got "):
        batch.step(np.array(action))


@pytest.mark.parametrize("action", [[19, 8, 0], [0, 0, 4], [0, -1, 0], [0, 0, 0, 0], [0, 0]])
def test_every_choice_is_checked(action: list[int]) -> None:
    batch = batch_of(1, actions="all")
    batch.reset()
    with pytest.raises(ValueError, match=r"actions must be 3 choices below \(20, 8, 4\) for 1 envs"):
        batch.step(np.array([action]))


def test_several_choices_of_several_envs_are_refused_in_one_line() -> None:
    batch = batch_of(2, actions="all")
    batch.reset()
    with pytest.raises(ValueError, match="actions must be 3 choices") as refused:
        batch.step(np.array([[0, 0, 4], [0, 0, 0]]))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("actions", ["executors", "all"])
def test_who_is_within_reach_is_valid_and_shown(actions: str) -> None:
    batch = batch_of(3, actions=actions, max_change=4)
    n_others = 12 if actions == "all" else 0
    batch.action_space.seed(0)
    observation = batch.reset()
    numbers = np.arange(1, 21)
    for _ in range(60):
        reach = np.abs(numbers - executors(batch)[:, None]) <= 4
        assert np.array_equal(batch.simulation.dynamics.action_set, np.hstack([reach, np.ones((3, n_others), np.bool_)]))
        assert observation.shape == (3, 6 + 20 + n_others + N_TERMS)
        assert np.array_equal(observation[:, 6:-N_TERMS], batch.simulation.dynamics.action_set)
        observation = batch.step(np.array([batch.action_space.sample() for _ in range(3)]))[0]


def test_a_number_out_of_reach_is_taken_as_far_as_it_goes() -> None:
    batch = batch_of(3, max_change=3)
    batch.reset()
    assert executors(batch).tolist() == [10, 10, 10]
    projected = batch.step(np.array([19, 0, 11]))[-1]["projected"]
    assert executors(batch).tolist() == [13, 7, 12]
    assert projected.tolist() == [True, True, False]
    batch.step(np.array([19, 0, 11]))
    assert executors(batch).tolist() == [16, 4, 12]
