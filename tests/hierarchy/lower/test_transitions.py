"""What a learner draws from a dataset is what is on record: in order, as its policy observes it, in units of its rewards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as th
from numpy.testing import assert_allclose, assert_array_equal

from hierarchy.lower.transitions import transitions_of
from hierarchy.nets.action_form import ActionForm
from hierarchy.nets.joint_choices import JointChoices
from hierarchy.nets.preprocessed_env import RewardScale
from hierarchy.nets.preprocessing import Normaliser, Preprocessing
from tests.hierarchy.lower.recorded import ACTION, N_TERMS, bandit, episode

CHOICES = JointChoices(ACTION)


def numbered(n: int, first: int, terminates: bool = False):  # type: ignore[no-untyped-def]
    """An episode whose observations are counted on."""
    observations = np.stack([first + np.arange(n + 1.0), np.ones(n + 1), np.zeros(n + 1)], axis=1)
    actions = np.stack([np.arange(n) % 2, np.arange(n) % 3], axis=1)
    return episode(observations, actions, first + np.arange(n), terminates)


def test_what_comes_next_is_of_the_same_episode() -> None:
    found = transitions_of([numbered(3, 10), numbered(2, 20, True)], CHOICES, Preprocessing(N_TERMS), None, None)
    assert found.observed[found.row, 0].tolist() == [10, 11, 12, 20, 21]
    assert found.observed[found.row + 1, 0].tolist() == [11, 12, 13, 21, 22]
    assert found.reward.tolist() == [10, 11, 12, 20, 21]
    assert found.terminated.tolist() == [False, False, False, False, True], "a time limit ends nothing for good"


def test_an_episode_of_no_action_adds_none() -> None:
    empty = numbered(1, 5)._replace(
        observations=np.zeros((1, 3), np.float32),
        actions=np.zeros((0, 2), int),
        rewards=np.zeros(0),
        terminations=np.zeros(0, bool),
    )
    found = transitions_of([empty, numbered(2, 20)], CHOICES, Preprocessing(N_TERMS), None, None)
    assert found.observed[found.row, 0].tolist() == [20, 21]


def test_stacks_do_not_reach_into_the_episode_before() -> None:
    found = transitions_of([numbered(2, 10), numbered(2, 20)], CHOICES, Preprocessing(N_TERMS, history=2), None, None)
    assert found.observed[:, [0, 3]].tolist() == [[0, 10], [10, 11], [11, 12], [0, 20], [20, 21], [21, 22]]


def test_observations_are_in_units_of_their_spread_but_for_the_mix() -> None:
    episodes, normaliser = bandit().episodes, Normaliser(3, N_TERMS)
    found = transitions_of(episodes, CHOICES, Preprocessing(N_TERMS, 1, True), normaliser, None)
    assert found.observed[:, 0].mean() == pytest.approx(0.0, abs=1e-3)
    assert found.observed[:, 0].std() == pytest.approx(1.0, abs=1e-3)
    assert_array_equal(found.observed[:, 1:], episodes[0].observations[:, 1:])


def test_rewards_are_in_units_of_the_spread_of_returns_under_their_mix() -> None:
    """Ten times the rewards under one of the mixes are as large as those under the other."""
    [recorded] = bandit().episodes
    large = recorded.rewards * np.where(recorded.observations[:-1, 1] > 0, 10.0, 1.0)
    found = transitions_of(
        [recorded._replace(rewards=large)], CHOICES, Preprocessing(N_TERMS), None, RewardScale(1, 0.0, 10.0, N_TERMS)
    )
    first = recorded.observations[:-1, 1] > 0
    assert found.reward[first].std() == pytest.approx(1.0, rel=0.01)
    assert found.reward[~first].std() == pytest.approx(1.0, rel=0.01)
    bound = transitions_of([recorded], CHOICES, Preprocessing(N_TERMS), None, RewardScale(1, 0.0, 0.5, N_TERMS))
    assert np.abs(bound.reward).max() == 0.5


@pytest.mark.parametrize("action", [ACTION, ActionForm("multi_discrete", [4, 1, 3]), ActionForm("discrete", [5])])
def test_a_combination_comes_back_as_the_action_that_it_is(action: ActionForm) -> None:
    choices = JointChoices(action)
    every = np.array(list(itertools.product(*map(range, action.sizes))))
    every = every[:, 0] if action.kind == "discrete" else every
    index = choices.encode(every)
    assert index.tolist() == list(range(choices.n))
    assert_array_equal(choices.mode(th.eye(choices.n)[index]).numpy(), every)


def test_each_action_is_as_likely_to_be_drawn() -> None:
    found = transitions_of([numbered(4, 0)], CHOICES, Preprocessing(N_TERMS), None, None)
    drawn = found.draw(8000, np.random.default_rng(0))
    assert_allclose(np.bincount(drawn) / 8000, 0.25, atol=0.02)
