"""How likely what was done was: probabilities add up to one, and shares of what is done are what they say."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.validation import SettingError
from hierarchy.collecting.behaviour import Certain, Drawn, Exploring
from hierarchy.lower.acting import PolicyActor

NOTHING = np.zeros((4, 1), np.float32)


def generators(n: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(n)]


def always(action: Any, n: int = 4) -> Certain:
    return Certain(lambda observation: np.tile(np.asarray(action), (n, 1)))


def test_probabilities_of_all_that_could_be_done_add_up_to_one() -> None:
    """Where the rule's own action may be drawn, too."""
    exploring = Exploring(always([2, 1]), 0.3, spaces.MultiDiscrete([3, 2]), generators(4))
    known: dict[tuple[int, ...], float] = {}
    for _ in range(200):
        done = exploring.act(NOTHING)
        for action, propensity in zip(done.action.tolist(), done.propensity.tolist(), strict=True):
            assert known.setdefault(tuple(action), propensity) == propensity
    assert set(known) == set(itertools.product(range(3), range(2)))
    assert sum(known.values()) == pytest.approx(1.0)
    assert known[2, 1] == pytest.approx(0.7 + 0.3 / 6)


def test_a_share_of_actions_is_drawn() -> None:
    exploring = Exploring(always([0], 500), 0.2, spaces.MultiDiscrete([5]), generators(500))
    random = np.concatenate([exploring.act(NOTHING).random for _ in range(20)])
    assert random.mean() == pytest.approx(0.2, abs=0.02)


def test_what_is_not_drawn_is_certain_without_exploration() -> None:
    done = Exploring(always([1]), 0.0, spaces.MultiDiscrete([5]), generators(4)).act(NOTHING)
    assert_array_equal(done.propensity, np.ones(4))
    assert not done.random.any()


def test_numbers_have_the_density_of_draws_and_the_probability_of_what_was_meant() -> None:
    space = spaces.Box(-1.0, 1.0, (2,), np.float32)
    exploring = Exploring(always(np.float32([0.5, 0.5])), 0.25, space, generators(4))
    for _ in range(50):
        done = exploring.act(NOTHING)
        assert_allclose(done.propensity, np.where(done.random, 0.25 / 4.0, 0.75))
        assert (np.abs(done.action) <= 1.0).all()


def test_numbers_without_bounds_are_not_drawn() -> None:
    space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    Exploring(always(np.float32([0.0])), 0.0, space, generators(4))
    with pytest.raises(SettingError, match="random_share must be 0"):
        Exploring(always(np.float32([0.0])), 0.1, space, generators(4))


def test_a_policy_draws_as_it_says(policy: PolicyActor) -> None:
    """Of many rows that observe the same, the share of each level is its probability."""
    n = 4000
    drawn = Drawn(policy, generators(n))
    observed = np.tile(np.random.default_rng(2).random(policy.module.form.n_observed).astype(np.float32) / 50.0, (n, 1))
    action = drawn.act(observed)
    options, counts = np.unique(action, axis=0, return_counts=True)
    for option, count in zip(options, counts, strict=True):
        p = drawn.probability(np.tile(option, (n, 1)))[0]
        assert count / n == pytest.approx(p, abs=5.0 * np.sqrt(p * (1 - p) / n) + 1e-3)
    everything = np.array(list(itertools.product(range(4), repeat=4)))
    assert sum(drawn.probability(np.tile(one, (n, 1)))[0] for one in everything) == pytest.approx(1.0, abs=1e-4)
