"""The lower agent acts for a batch as it would act for each env alone, and is written whole or not at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sb3_contrib import RecurrentPPO

import envs
from envs.core.batch import BatchEnv
from hierarchy.config import ExperimentConfig
from hierarchy.lower import agent as lower
from hierarchy.nets.recurrent import FusedLstmPolicy


def observations_of(batch: BatchEnv, n_steps: int) -> np.ndarray:
    """Of a batch under random actions, ``(n_steps, n_envs, n_features)``."""
    batch.action_space.seed(1)
    seen = [batch.reset()]
    for _ in range(n_steps - 1):
        seen.append(batch.step(np.stack([batch.action_space.sample() for _ in range(batch.n_envs)]))[0])
    return np.stack(seen)


@pytest.mark.parametrize("mode", ["levels", "weights", "deltas"])
def test_the_frozen_agent_acts_as_the_policy_predicts(
    tiny_config: ExperimentConfig, policy_for: Callable[[ExperimentConfig], FusedLstmPolicy], mode: Any
) -> None:
    actions = dataclasses.replace(tiny_config.env.actions, mode=mode)
    config = dataclasses.replace(tiny_config, env=dataclasses.replace(tiny_config.env, actions=actions, episode_steps=50))
    policy = policy_for(config)
    frozen, state, starts = lower.FrozenLower(policy, 3), None, np.ones(3, bool)
    played = []
    for observation in observations_of(envs.make(config.env, 3), 20):
        expected, state = policy.predict(observation, state, starts, deterministic=True)
        starts = np.zeros(3, bool)
        played.append(frozen.act(observation))
        np.testing.assert_allclose(played[-1], expected, atol=1e-6)
    assert len(np.unique(np.concatenate(played), axis=0)) > 1
    assert all(policy.action_space.contains(action.astype(policy.action_space.dtype)) for action in np.concatenate(played))


def memory_after(policy: FusedLstmPolicy, observations: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The hidden state after all observations, ``(n_envs, hidden)``, with a reset before the last one."""
    frozen = lower.FrozenLower(policy, observations.shape[1])
    for observation in observations[:-1]:
        frozen.act(observation)
    frozen.reset(mask)
    frozen.act(observations[-1])
    return frozen._memory[0].numpy()


def test_a_reset_forgets_where_it_is_asked_to(policy: FusedLstmPolicy, batch_of: Callable[..., BatchEnv]) -> None:
    seen = observations_of(batch_of(n_steps=50), 10)
    everywhere, first = memory_after(policy, seen, None), memory_after(policy, seen, np.array([True, False]))
    nowhere, fresh = memory_after(policy, seen, np.zeros(2, bool)), memory_after(policy, seen[-1:], None)
    assert_array_equal(everywhere, fresh)
    assert_array_equal(first, np.stack([fresh[0], nowhere[1]]))
    assert (fresh != nowhere).any(axis=1).all()


def test_the_context_is_part_of_what_the_agent_observes(policy: FusedLstmPolicy, batch_of: Callable[..., BatchEnv]) -> None:
    batch = batch_of(n_steps=50)
    seen = observations_of(batch, 2)
    other = seen.copy()
    other[..., -3:] = [0.0, 0.0, 1.0]
    assert (memory_after(policy, seen, None) != memory_after(policy, other, None)).all()
    assert seen.shape[-1] == policy.observation_space.shape[0] == batch.observation_space.shape[0]


def test_contexts_vary_in_training_only(tiny_config: ExperimentConfig, batch_of: Callable[..., BatchEnv]) -> None:
    env = lower.build(tiny_config).get_env()
    assert env is not None
    assert len(np.unique([env.reset()[0, -3:] for _ in range(5)], axis=0)) == 5
    batch = batch_of()
    assert len(np.unique([batch.reset()[0, -3:] for _ in range(5)], axis=0)) == 1


@pytest.mark.parametrize("mode", ["levels", "weights", "deltas"])
def test_a_fresh_agent_begins_near_the_nominal_action(tiny_config: ExperimentConfig, mode: Any) -> None:
    actions = dataclasses.replace(tiny_config.env.actions, mode=mode)
    config = dataclasses.replace(tiny_config, env=dataclasses.replace(tiny_config.env, actions=actions, episode_steps=50))
    batch = envs.make(config.env, 3)
    frozen = lower.FrozenLower(lower.policy_of(lower.build(config)), 3)
    for observation in observations_of(batch, 10):
        np.testing.assert_allclose(frozen.act(observation), np.tile(batch.nominal_action, (3, 1)), atol=0.1)


def test_the_learning_rate_falls_in_a_line_to_its_final_share(tiny_config: ExperimentConfig) -> None:
    config = dataclasses.replace(tiny_config, lower=dataclasses.replace(tiny_config.lower, timesteps=4 * 32, n_epochs=1))
    agent, rates = lower.build(config), []
    train = agent.train

    def watched() -> None:
        train()
        rates.append(agent.policy.optimizer.param_groups[0]["lr"])

    agent.train = watched  # type: ignore[method-assign]
    agent.learn(config.lower.timesteps)
    start, end = config.lower.learning_rate, config.lower.learning_rate * lower.FINAL_SHARE
    np.testing.assert_allclose(rates, np.linspace(start, end, 5)[1:])


def test_a_saved_agent_acts_as_before(tiny_config: ExperimentConfig, tmp_path: Path) -> None:
    agent = lower.build(tiny_config)
    path = tmp_path / "lower.zip"
    lower.save(agent, path)
    again = lower.load(path)
    observation = agent.get_env().reset()
    for ours, theirs in zip(again.policy.parameters(), agent.policy.parameters(), strict=True):
        assert_array_equal(ours.detach(), theirs.detach())
    assert isinstance(lower.policy_of(again), FusedLstmPolicy)
    assert_array_equal(again.predict(observation, deterministic=True)[0], agent.predict(observation, deterministic=True)[0])
    assert [p.name for p in tmp_path.iterdir()] == ["lower.zip"]


def test_a_failed_save_leaves_the_agent_that_was_there(
    tiny_config: ExperimentConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lower.zip"
    path.write_bytes(b"before")

    def broken(self: RecurrentPPO, to: Path) -> None:
        Path(to).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(RecurrentPPO, "save", broken)
    with pytest.raises(OSError, match="no space"):
        lower.save(lower.build(tiny_config), path)
    assert path.read_bytes() == b"before"
