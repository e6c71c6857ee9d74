"""The vector of rewards, as MO-Gymnasium and MORL-Baselines use it."""

from __future__ import annotations

import mo_gymnasium
import numpy as np
import pytest
from mo_gymnasium.wrappers import LinearReward

from envs.faces.registration import make_multi_objective, make_single

WEIGHTS = np.array([0.2, 0.5, 0.3])


def test_mo_gymnasium_makes_the_registered_env_with_a_reward_space() -> None:
    env = mo_gymnasium.make("metabalance/LoadBalancingMO-v0")
    assert env.unwrapped.reward_space.shape == (3,)
    assert env.unwrapped.reward_dim == 3


def test_the_vector_weighed_by_a_context_is_the_reward_under_that_context() -> None:
    vector, scalar = make_multi_objective(seed=3), make_single(seed=3)
    linear = LinearReward(vector, WEIGHTS)
    linear.reset(seed=3)
    scalar.reset(seed=3, options={"context": WEIGHTS})
    rng = np.random.default_rng(0)
    for _ in range(200):
        action = rng.integers(vector.action_space.nvec)
        _, weighed, *_ = linear.step(action)
        _, reward, *_ = scalar.step(action)
        assert weighed == pytest.approx(reward, abs=1e-6)
        assert reward <= 0.0
