"""A batch of one as a Gymnasium env, and the ids that it is registered by."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs
from envs.core.context import ContextSampling
from envs.faces.registration import make_single
from envs.faces.single import SingleEnv
from envs.load_balancing.config import LoadBalancingConfig

IDS = ("metabalance/LoadBalancing-v0", "metabalance/Spark-v0")


def action(step: int = 0) -> np.ndarray:
    return np.random.default_rng(step).integers(0, 4, 8)


@pytest.mark.parametrize("name", IDS)
def test_a_registered_env_passes_the_check_of_gymnasium(name: str) -> None:
    for mode in (None, "ansi", "rgb_array"):
        env = gymnasium.make(name, render_mode=mode)
        assert isinstance(env.unwrapped, SingleEnv)
        check_env(env.unwrapped)


def test_a_single_env_is_the_batch_of_one() -> None:
    config = LoadBalancingConfig(episode_steps=8)
    single, batch = make_single(config, seed=4), envs.make(config, 1, seed=4, sampling=ContextSampling())
    assert np.array_equal(single.reset()[0], batch.reset()[0])
    for step in range(8):
        one, many = single.step(action(step)), batch.step(action(step)[None])
        assert np.array_equal(one[0], many[0][0])
        assert one[1:4] == (many[1][0], many[2][0], many[3][0])
        assert one[4]["reward_terms"] == {name: term[0] for name, term in many[4]["reward_terms"].items()}
        assert np.array_equal(one[4]["reward_vector"], many[4]["reward_vector"][0])
    assert one[3]


def test_a_single_env_is_made_of_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="n_envs must be 1 for a single env, got 2"):
        SingleEnv(envs.make(LoadBalancingConfig(), 2))


def test_a_seed_makes_the_episode_again() -> None:
    env = make_single(LoadBalancingConfig())
    runs = []
    for _ in range(2):
        first = env.reset(seed=7)[0]
        runs.append([first, *(env.step(action(step))[0] for step in range(10))])
    assert np.array_equal(*runs)
    assert not np.array_equal(runs[0][-1], env.reset(seed=8)[0])


def test_a_context_given_at_the_reset_holds() -> None:
    env = make_single(LoadBalancingConfig())
    observation, _ = env.reset(seed=0, options={"context": [0.0, 1.0, 0.0]})
    assert observation[-3:].tolist() == [0.0, 1.0, 0.0]
    _, reward, _, _, info = env.step(action())
    assert reward == pytest.approx(-info["reward_terms"]["latency"])
