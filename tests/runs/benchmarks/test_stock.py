"""The same experiment from stock parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.faces.registration import make_single
from hierarchy.config import ExperimentConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.upper.td3 import TD3Config
from runs.benchmarks import stock


@pytest.fixture
def config() -> ExperimentConfig:
    lower = RecurrentPPOConfig(n_envs=2, n_steps=8, batch_size=8, n_epochs=1, hidden_size=8)
    return ExperimentConfig(lower=lower, upper=TD3Config(meta_period=3, learning_starts=2, batch_size=4))


def test_stock_parts_make_the_whole_experiment(config: ExperimentConfig) -> None:
    agent = stock.agent(config, stock.vec_env(config, "dummy"))
    agent.learn(16)
    check_env(stock.SingleMetaEnv(config, agent), skip_render_check=True)
    upper = stock.upper_agent(config, agent)
    upper.learn(6)
    assert upper.num_timesteps == 6
    mixes = np.eye(3)
    objectives = stock.evaluate(config, agent, list(mixes), 5)
    assert len(objectives) == 3
    assert np.isfinite(objectives).all()


def test_the_stock_agent_begins_anew_where_an_episode_ends(config: ExperimentConfig) -> None:
    agent = stock.agent(config, stock.vec_env(config, "dummy"))
    short = dataclasses.replace(config.env, episode_steps=4)
    acting = stock.Predicting(agent, make_single(short))
    assert [acting.run(1) for _ in range(8)] == [False, False, False, True] * 2
