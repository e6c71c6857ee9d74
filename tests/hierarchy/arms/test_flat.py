"""The agent without a hierarchy is paid the objective of every step and is told nothing by its context."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs.core.batch import BatchEnv
from envs.load_balancing.objectives import OBJECTIVES
from hierarchy.arms import flat
from hierarchy.arms.flat import ObjectiveVecEnv
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.nets.preprocessed_env import PreprocessedVecEnv
from hierarchy.protocols import TrainedActor

N_STEPS = 30
MakeBatch = Callable[..., BatchEnv]
ACTIONS = np.random.default_rng(0).integers(0, 4, (N_STEPS, 2, 4))


def vec_env(batch: BatchEnv) -> ObjectiveVecEnv:
    env = ObjectiveVecEnv(batch)
    env.reset()
    return env


@pytest.mark.parametrize("name", ["profit", "satisfaction", "slo"])
def test_the_reward_of_a_step_is_the_objective_of_that_step(tiny_config: ExperimentConfig, name: str) -> None:
    config = dataclasses.replace(tiny_config.env, objective=OBJECTIVES[name](), episode_steps=N_STEPS)
    env, batch = vec_env(envs.make(config, 2, 3)), envs.make(config, 2, 3)
    batch.reset()
    for action in ACTIONS:
        since = batch.simulation.totals()
        batch.step(action)
        statistics = batch.simulation.statistics(since)
        assert_allclose(statistics["duration_h"] * 3600, tiny_config.env.dt_s)
        _, reward, _, _ = env.step(action)
        expected = config.objective(statistics)
        assert_allclose(reward, expected, rtol=1e-6)


def test_rewards_of_an_episode_are_its_profit_once_its_flows_are_settled(
    batch_of: MakeBatch, tiny_config: ExperimentConfig
) -> None:
    env, batch = vec_env(batch_of(N_STEPS)), batch_of(N_STEPS)
    batch.reset()
    rewards = []
    for action in ACTIONS:
        batch.step(action)
        rewards.append(env.step(action)[1])
    statistics = batch.simulation.statistics()
    assert (statistics["penalty_usd"] > 0).any(), "some flows must be late for this to be a test"
    assert_allclose(np.mean(rewards, axis=0), tiny_config.env.objective(statistics), rtol=1e-4)


def test_rewards_of_a_window_in_any_episode_are_its_profit(batch_of: MakeBatch, tiny_config: ExperimentConfig) -> None:
    env = vec_env(batch_of(20))
    for action in ACTIONS[:25]:
        env.step(action)
    since = env.batch.simulation.totals()
    rewards = [env.step(action)[1] for action in ACTIONS[:10]]
    paid = tiny_config.env.objective(env.batch.simulation.statistics(since))
    assert_allclose(np.mean(rewards, axis=0), paid, rtol=1e-4)


def test_the_context_is_equal_always(tiny_config: ExperimentConfig) -> None:
    env = flat.build(tiny_config).agent.get_env()
    assert env is not None
    seen = [env.reset()]
    for _ in range(3 * tiny_config.env.episode_steps):
        actions = np.array([env.action_space.sample() for _ in range(env.num_envs)])
        seen.append(env.step(actions)[0])
    assert_array_equal(np.unique(np.concatenate(seen)[:, -3:]), np.float32(1 / 3))


def test_rewards_alone_are_scaled(tiny_config: ExperimentConfig) -> None:
    env = flat.build(tiny_config).agent.get_env()
    assert isinstance(env, PreprocessedVecEnv)
    assert env.normaliser is None
    env.reset()
    rewards: list[Any] = []
    for _ in range(tiny_config.env.episode_steps):
        _, reward, _, _ = env.step(np.ones((env.num_envs, 4)))
        rewards.append((reward, env.unwrapped.reward))
    ours, paid = np.array(rewards).swapaxes(0, 1)
    assert_array_equal(np.sign(ours), np.sign(paid))
    assert not np.allclose(ours, paid)


def test_it_shares_no_stream_with_the_hierarchy(tiny_config: ExperimentConfig, policy: TrainedActor) -> None:
    worlds = [
        flat.build(tiny_config).agent.get_env().venv.batch.world.dynamics,
        lower.build(tiny_config).agent.get_env().batch.world.dynamics,
        upper.build(tiny_config, policy).agent.get_env().simulation.dynamics,
    ]
    streams = np.concatenate([np.unique(world.streams) for world in worlds])
    assert len(np.unique(streams)) == len(streams)


@pytest.mark.parametrize(
    ("candidates", "meta_step", "n_steps"),
    [
        (1, "window", 64 + 12 * 4),
        (1, "episode", 64 + 12 * 16),
        (3, "window", 64 + 3 * (12 * 4 + 2 * 3 * 4)),
        (3, "episode", 64 + 3 * (12 * 16 + 2 * 16)),
    ],
)
def test_it_takes_as_many_steps_as_the_hierarchy_with_all_its_candidates(
    tiny_config: ExperimentConfig, candidates: int, meta_step: Any, n_steps: int
) -> None:
    upper = dataclasses.replace(tiny_config.upper, meta_step=meta_step, candidates=candidates, candidate_seeds=2)
    assert flat.timesteps(dataclasses.replace(tiny_config, upper=upper)) == n_steps


def test_its_networks_are_those_of_the_lower_agent(tiny_config: ExperimentConfig) -> None:
    ours, theirs = flat.build(tiny_config).agent.policy, lower.build(tiny_config).agent.policy
    shapes = [{name: value.shape for name, value in one.state_dict().items()} for one in (ours, theirs)]
    assert shapes[0] == shapes[1]
