"""A trained lower policy acts for a batch as it would act for each env alone, and goes on from where it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import envs
from envs.core.batch import BatchEnv
from hierarchy.building import lower
from hierarchy.config import ExperimentConfig
from hierarchy.lower.acting import PolicyActor
from hierarchy.sb3.learner import SB3Learner
from tests.hierarchy.nets.policies import TOLERANCE


def observations_of(batch: BatchEnv, n_steps: int) -> np.ndarray:
    """Of a batch under random actions, ``(n_steps, n_envs, n_features)``."""
    batch.action_space.seed(1)
    seen = [batch.reset()]
    for _ in range(n_steps - 1):
        seen.append(batch.step(np.stack([batch.action_space.sample() for _ in range(batch.n_envs)]))[0])
    return np.stack(seen)


@pytest.mark.parametrize("mode", ["levels", "weights", "deltas"])
def test_the_frozen_agent_acts_as_the_policy_predicts(
    tiny_config: ExperimentConfig, lower_for: Callable[[ExperimentConfig], SB3Learner], mode: Any
) -> None:
    actions = dataclasses.replace(tiny_config.env.actions, mode=mode)
    config = dataclasses.replace(tiny_config, env=dataclasses.replace(tiny_config.env, actions=actions, episode_steps=50))
    learner = lower_for(config)
    policy, acting, state, starts = learner.agent.policy, learner.actor.start(3), None, np.ones(3, bool)
    played = []
    for observation in observations_of(envs.make(config.env, 3), 20):
        expected, state = policy.predict(observation, state, starts, deterministic=True)
        starts = np.zeros(3, bool)
        played.append(acting.act(observation))
        np.testing.assert_allclose(played[-1], expected, atol=TOLERANCE)
    assert len(np.unique(np.concatenate(played), axis=0)) > 1
    assert all(policy.action_space.contains(action.astype(policy.action_space.dtype)) for action in np.concatenate(played))


def memory_after(actor: PolicyActor, observations: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The hidden state after all observations, ``(n_envs, hidden)``, with a reset before the last one."""
    acting = actor.start(observations.shape[1])
    for observation in observations[:-1]:
        acting.act(observation)
    acting.reset(mask)
    acting.act(observations[-1])
    return acting.get_state()["memory"]["0"]


def test_a_reset_forgets_where_it_is_asked_to(policy: PolicyActor, batch_of: Callable[..., BatchEnv]) -> None:
    seen = observations_of(batch_of(n_steps=50), 10)
    everywhere, first = memory_after(policy, seen, None), memory_after(policy, seen, np.array([True, False]))
    nowhere, fresh = memory_after(policy, seen, np.zeros(2, bool)), memory_after(policy, seen[-1:], None)
    assert_array_equal(everywhere, fresh)
    assert_array_equal(first, np.stack([fresh[0], nowhere[1]]))
    assert (fresh != nowhere).any(axis=1).all()


def test_the_context_is_part_of_what_the_agent_observes(policy: PolicyActor, batch_of: Callable[..., BatchEnv]) -> None:
    batch = batch_of(n_steps=50)
    seen = observations_of(batch, 2)
    other = seen.copy()
    other[..., -3:] = [0.0, 0.0, 1.0]
    assert (memory_after(policy, seen, None) != memory_after(policy, other, None)).all()
    assert seen.shape[-1] == policy.module.form.n_observed == batch.observation_space.shape[0]


def test_contexts_vary_in_training_only(tiny_config: ExperimentConfig, batch_of: Callable[..., BatchEnv]) -> None:
    env = lower.vec_env(tiny_config)
    assert len(np.unique([env.reset()[0, -3:] for _ in range(5)], axis=0)) == 5
    batch = batch_of()
    assert len(np.unique([batch.reset()[0, -3:] for _ in range(5)], axis=0)) == 1


@pytest.mark.parametrize("mode", ["levels", "weights", "deltas"])
def test_a_fresh_agent_begins_near_the_nominal_action(tiny_config: ExperimentConfig, mode: Any) -> None:
    actions = dataclasses.replace(tiny_config.env.actions, mode=mode)
    config = dataclasses.replace(tiny_config, env=dataclasses.replace(tiny_config.env, actions=actions, episode_steps=50))
    batch = envs.make(config.env, 3)
    acting = lower.build(config).actor.start(3)
    for observation in observations_of(batch, 10):
        np.testing.assert_allclose(acting.act(observation), np.tile(batch.world.nominal_action, (3, 1)), atol=0.1)


@pytest.mark.parametrize("history", [1, 3])
def test_acting_goes_on_from_a_state_to_the_last_bit(
    untracked_config: ExperimentConfig, policy_for: Callable[[ExperimentConfig], PolicyActor], history: int
) -> None:
    settings = dataclasses.replace(untracked_config.lower, history=history, normalise_observations=history > 1)
    config = dataclasses.replace(untracked_config, lower=settings)
    actor, seen = policy_for(config), observations_of(envs.make(config.env, 3), 12)
    one = actor.start(3)
    for observation in seen[:6]:
        one.act(observation)
    one.reset(np.array([False, True, False]))
    state = one.get_state()
    other = actor.start(3)
    for observation in seen[9:]:
        other.act(observation)
    other.set_state(state)
    for observation in seen[6:]:
        assert_array_equal(other.act(observation), one.act(observation))
        for name, part in one.get_state()["memory"].items():
            assert_array_equal(other.get_state()["memory"][name], part)
    assert (one.get_state()["memory"]["0"] != state["memory"]["0"]).all(), "a state is a copy"
