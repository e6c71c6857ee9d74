"""The upper agent learns every meta step and sets contexts on the simplex."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stable_baselines3 import TD3

from hierarchy.config import ExperimentConfig
from hierarchy.lower import agent as lower
from hierarchy.nets.recurrent import FusedLstmPolicy
from hierarchy.simplex import to_simplex
from hierarchy.upper import agent as upper
from hierarchy.upper.meta_env import MetaEnv


def test_the_agent_is_trained_once_per_meta_step(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    agent = upper.build(tiny_config, policy)
    agent.learn(tiny_config.upper.meta_steps)
    assert agent.num_timesteps == tiny_config.upper.meta_steps
    assert agent._n_updates == tiny_config.upper.meta_steps - tiny_config.upper.learning_starts


def test_the_lower_agent_stays_frozen(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    upper.build(tiny_config, policy).learn(tiny_config.upper.meta_steps)
    for parameter, value in zip(policy.parameters(), before, strict=True):
        assert_array_equal(parameter.detach(), value)


def test_meta_envs_share_no_arrivals_with_phase_one(tiny_config: ExperimentConfig, policy: FusedLstmPolicy) -> None:
    meta_env, env = upper.build(tiny_config, policy).get_env(), lower.build(tiny_config).get_env()
    assert isinstance(meta_env, MetaEnv)
    ours, theirs = meta_env.windows.batch.dynamics, env.batch.dynamics
    assert not np.intersect1d(ours.streams, theirs.streams).size
    assert not set(ours.env_ids) & set(theirs.env_ids)


def test_contexts_are_those_of_the_policy_without_noise(upper_agent: TD3, tiny_config: ExperimentConfig) -> None:
    observation = np.random.default_rng(0).normal(size=(5, *upper_agent.observation_space.shape)).astype(np.float32)
    contexts = upper.contexts(upper_agent, observation)
    assert_array_equal(contexts, upper.contexts(upper_agent, observation))
    assert_allclose(contexts, to_simplex(upper_agent.predict(observation, deterministic=True)[0]))
    assert_allclose(contexts.sum(-1), 1.0)
    assert contexts.std(0).min() > 0


@pytest.mark.parametrize("name", ["gamma", "tau", "batch_size", "buffer_size", "learning_starts"])
def test_settings_reach_the_agent(upper_agent: TD3, tiny_config: ExperimentConfig, name: str) -> None:
    assert getattr(upper_agent, name) == getattr(tiny_config.upper, name)


def test_noise_is_that_of_the_settings(upper_agent: TD3, tiny_config: ExperimentConfig) -> None:
    assert upper_agent.action_noise is not None
    drawn = np.array([upper_agent.action_noise() for _ in range(2000)])
    assert drawn.std() == pytest.approx(tiny_config.upper.action_noise, rel=0.1)
