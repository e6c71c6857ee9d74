"""Rewards above those of a twin: what no action changes is taken off, and what an action changes stays."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import envs
from envs import LoadBalancingConfig, SparkConfig
from envs.core.context import ContextSampling
from envs.core.validation import SettingError
from envs.load_balancing.actions import FOLLOW
from envs.load_balancing.config import Actions
from hierarchy.arms import flat
from hierarchy.building.lower import build, vec_env
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Processes
from hierarchy.lower.ppo_learner import PPOLearner
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.vec_env import BatchVecEnv

N_ENVS, EVERY, N_DECISIONS = 3, 4, 20
SAMPLING = ContextSampling(switch_probability=0.3)
WORLD = LoadBalancingConfig(actions=Actions(mode="guided", every_steps=EVERY), dt_s=1.0, episode_steps=EVERY * N_DECISIONS)


def config_of(paired: bool) -> ExperimentConfig:
    lower = RecurrentPPOConfig(n_envs=N_ENVS, n_steps=8, batch_size=8, paired=paired, context=SAMPLING)
    return ExperimentConfig(env=WORLD, lower=lower, seed=2)


def rewards_of(env: BatchVecEnv, moves: np.ndarray) -> np.ndarray:
    """Of every decision ``(n, n_envs)``, the same in all envs."""
    env.seed(4)
    env.reset()
    return np.stack([env.step(np.full((N_ENVS, 1), move))[1] for move in moves])


NOMINAL = np.full(3 * N_DECISIONS, FOLLOW)


def test_a_twin_in_a_process_of_its_own_is_the_same_twin() -> None:
    """To the last bit, over resets and another seed; for both kinds of agents."""
    moves = np.random.default_rng(1).integers(0, 41, len(NOMINAL))
    for vec_env_of in (vec_env, flat.vec_env):
        with Processes(n_workers=1) as beside:
            env = vec_env_of(config_of(paired=True), beside)
            assert_array_equal(rewards_of(env, moves), rewards_of(vec_env_of(config_of(paired=True)), moves))


def test_a_process_that_is_gone_is_said_so_in_one_line() -> None:
    def step_without_it() -> None:
        with Processes(n_workers=1) as beside:
            env = vec_env(config_of(paired=True), beside)
            env.reset()
            beside.submit(os._exit, 1)
            env.step(np.full((N_ENVS, 1), FOLLOW))

    with pytest.raises(SettingError, match="executor must be inline where processes end early"):
        step_without_it()


def test_who_does_as_the_twin_gets_nothing() -> None:
    """Over several episodes and contexts that change."""
    assert_array_equal(rewards_of(vec_env(config_of(paired=True)), NOMINAL), 0.0)
    assert (rewards_of(vec_env(config_of(paired=False)), NOMINAL) < 0).all()


def test_what_is_taken_off_is_what_the_nominal_action_would_have_got() -> None:
    moves = np.random.default_rng(0).integers(0, 41, len(NOMINAL))
    alone, above = (rewards_of(vec_env(config_of(paired)), moves) for paired in (False, True))
    assert_allclose(above, alone - rewards_of(vec_env(config_of(paired=False)), NOMINAL), atol=1e-5)
    assert np.abs(above).max() > 0.01


def test_an_agent_without_a_hierarchy_has_a_twin_too() -> None:
    alone, above = flat.vec_env(config_of(paired=False)), flat.vec_env(config_of(paired=True))
    assert_array_equal(rewards_of(above, NOMINAL), 0.0)
    assert (rewards_of(alone, NOMINAL) != 0.0).all()


def test_a_world_without_a_nominal_action_has_no_twin() -> None:
    spark = [replace(config_of(paired), env=SparkConfig()) for paired in (False, True)]
    batches = [vec_env(config) for config in spark]
    for batch in batches:
        batch.seed(1)
        batch.reset()
    action = np.stack([batches[0].action_space.sample()] * N_ENVS)
    rewards = [[batch.step(action)[1] for _ in range(5)] for batch in batches]
    assert_array_equal(*rewards)
    assert np.any(rewards)


def test_a_decision_is_rewarded_for_all_its_steps_and_counted_by_them() -> None:
    env = vec_env(config_of(paired=False))
    batch = envs.make(WORLD, N_ENVS, 2, "train", SAMPLING)
    env.seed(4)
    env.reset()
    batch.reset(4)
    for _ in range(N_DECISIONS - 1):
        action = np.full((N_ENVS, 1), 3)
        observation, reward, *_ = env.step(action)
        steps = [batch.step(action) for _ in range(EVERY)]
        assert_array_equal(observation, steps[-1][0])
        assert_allclose(reward, sum(step[1] for step in steps), rtol=1e-6)
        for name, mean in env.reward_terms.items():
            assert_allclose(mean, sum(step[4]["reward_terms"][name] for step in steps) / EVERY, rtol=1e-9, atol=1e-12)
    learner = build(config_of(paired=False))
    assert isinstance(learner, PPOLearner)
    learner.learn(EVERY * 8 * N_ENVS)
    assert learner.n_steps == EVERY * 8 * N_ENVS
    assert learner.agent._n_updates == learner.agent.n_epochs, "one rollout"


def test_a_context_stays_until_an_action_is_listened_to() -> None:
    batch = envs.make(WORLD, N_ENVS, 2, "train", SAMPLING)
    batch.reset()
    contexts = [batch.context.copy()]
    for _ in range(EVERY * N_DECISIONS - 1):
        batch.step(np.full((N_ENVS, 1), 1))
        contexts.append(batch.context.copy())
    changes = np.flatnonzero((np.diff(contexts, axis=0) != 0).any((1, 2))) + 1
    assert len(changes) > 5
    assert not (changes % EVERY).any()


def test_a_decision_adds_up_the_reward_vectors_of_its_steps() -> None:
    batch, beside = (envs.make(WORLD, N_ENVS, 2, "train", SAMPLING) for _ in range(2))
    for one in (batch, beside):
        one.reset(4)
    for _ in range(N_DECISIONS - 1):
        action = np.full((N_ENVS, 1), 3)
        info = batch.decide(action)[4]
        steps = [beside.step(action)[4]["reward_vector"] for _ in range(EVERY)]
        assert_allclose(info["reward_vector"], sum(steps), rtol=1e-12)
