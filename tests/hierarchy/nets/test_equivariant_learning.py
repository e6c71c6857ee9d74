"""A policy of parts learns from whole sequences what it lives step by step, and acts the same when loaded."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from hierarchy.lower.acting import PolicyActor
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.nets.equivariant import EquivariantLstmPolicy
from hierarchy.nets.recurrent import N_ACTOR
from hierarchy.vec_env import ArrayVecEnv
from tests.hierarchy.nets.parts import (
    KWARGS,
    LENGTHS,
    N_CHOICES,
    N_ENVS,
    N_PARTS,
    N_REST,
    begun,
    done_space,
    drawn,
    encoder_kwargs,
    fresh,
    large,
    logits_of,
    minibatch_of,
    observed,
    parts_of,
    played,
    seen_space,
    steps_of,
)
from tests.hierarchy.nets.policies import assert_close


@pytest.fixture
def policy() -> EquivariantLstmPolicy:
    return large()


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@th.no_grad()
def test_whole_sequences_are_judged_as_step_by_step(policy: EquivariantLstmPolicy, lengths: list[int]) -> None:
    steps, actions = steps_of(1), drawn()
    memory = begun(policy, len(lengths))
    found = policy.evaluate(minibatch_of(steps, memory, actions, lengths))
    values, log_prob, entropy = [], [], []
    for n in range(max(lengths)):
        alive, shown = th.tensor([n < length for length in lengths]), steps[n][: len(lengths)]
        parameters, _ = policy.acting.step(shown, memory[:N_ACTOR], th.ones(len(shown), 1))
        log_p = logits_of(parameters).log_softmax(-1)
        taken = actions[n, : len(shown)].view(len(shown), N_PARTS, N_CHOICES, 1)
        log_prob.append(log_p.gather(-1, taken).sum((1, 2, 3))[alive])
        entropy.append(-(log_p.exp() * log_p).sum((1, 2, 3))[alive])
        _, _, told, memory = policy.step(shown, memory, th.zeros(len(shown)))
        values.append(told[alive])
    for ours, expected in zip(found, (values, log_prob, entropy), strict=True):
        assert_close(ours, th.cat(expected))


@th.no_grad()
def test_a_policy_that_begins_near_levels_prefers_them_for_every_part() -> None:
    policy, preferred = fresh(), [3, 1]
    nominal = np.tile(preferred, N_PARTS)
    policy.begin_near(nominal, 1.0)
    logits, _, _ = played(policy, steps_of(8))
    action = PolicyActor(policy.acting).start(N_ENVS).act(steps_of(8)[0].numpy())
    np.testing.assert_array_equal(action, np.tile(nominal, (N_ENVS, 1)))
    for choice, level in enumerate(preferred):
        chances = logits[..., choice, :].softmax(-1).numpy()
        others = np.delete(chances / chances[..., level, None], level, axis=-1)
        np.testing.assert_allclose(others, np.exp(-1.0), atol=0.03)
    with pytest.raises(ValueError, match="action must be the same levels for all parts, got"):
        policy.begin_near(np.array([1, 3, 1, 3, 3, 1, 1, 3]), 1.0)


def test_the_gradient_reaches_every_parameter(policy: EquivariantLstmPolicy) -> None:
    found = policy.evaluate(minibatch_of(steps_of(1), begun(policy, 4), drawn(), [6, 2, 4, 1]))
    (found.values.square().sum() + found.log_prob.sum()).backward()
    for name, parameter in policy.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


MEDIAN = np.log(2.0)
"""Of a shared feature."""


class Best(ArrayVecEnv):
    """Two choices of levels 0 and 1 for every part, which come and go: 1 is rewarded for the part that has most, and for all
    while what they share is high; 0 elsewhere.
    """

    def __init__(self, n_envs: int) -> None:
        super().__init__(n_envs, seen_space(), done_space(n_levels=2))
        self._rng = np.random.default_rng(0)
        self.shares_right: list[float] = []

    def _observe(self) -> np.ndarray:
        seen = observed(self._rng, self.num_envs)
        parts = parts_of(seen)
        most = np.arange(N_PARTS) == (parts[..., 1] * parts[..., -1]).argmax(-1)[:, None]
        high = np.broadcast_to(seen[:, -N_REST].numpy()[:, None] > MEDIAN, most.shape)
        self._wanted = np.stack([most, high], axis=-1).reshape(len(most), -1)
        self._there = np.repeat(parts[..., -1] > 0, N_CHOICES, axis=1)
        return seen.numpy()

    def reset(self) -> VecEnvObs:
        return self._observe()

    def step_wait(self) -> VecEnvStepReturn:
        right = (self._actions == self._wanted) | ~self._there
        self.shares_right.append(right.all(-1).mean())
        done = self._rng.random(self.num_envs) < 0.1
        infos = [
            {"terminal_observation": seen, "TimeLimit.truncated": True} for seen in observed(self._rng, len(done)).numpy()
        ]
        return self._observe(), right.mean(-1, dtype=np.float32), done, infos


def agent_over(env: ArrayVecEnv, **settings: Any) -> FusedRecurrentPPO:
    wider = KWARGS | {"features_extractor_kwargs": encoder_kwargs(width=32)}
    arguments = {"n_steps": 32, "batch_size": 128, "n_epochs": 8, "learning_rate": 5e-3, "gamma": 0.5} | settings
    return FusedRecurrentPPO(EquivariantLstmPolicy, env, policy_kwargs=wider, seed=0, device="cpu", **arguments)


def test_training_finds_what_is_best_by_part_and_by_what_all_share() -> None:
    env = Best(16)
    agent = agent_over(env)
    before = copy.deepcopy(agent.policy.state_dict())
    agent.learn(16 * 32 * 20)
    assert all((value != before[name]).any() for name, value in agent.policy.state_dict().items())
    assert np.mean(env.shares_right[:32]) < 0.2
    assert np.mean(env.shares_right[-32:]) > 0.8


def test_an_agent_that_stable_baselines_saves_acts_as_before(tmp_path: Path) -> None:
    agent = agent_over(Best(4), n_steps=16, batch_size=64)
    agent.learn(64)
    agent.save(tmp_path / "lower.zip")
    again = FusedRecurrentPPO.load(tmp_path / "lower.zip", device="cpu")
    assert isinstance(again.policy, EquivariantLstmPolicy)
    seen = observed(np.random.default_rng(0)).numpy()
    state, start = None, np.ones(N_ENVS, bool)
    acting = PolicyActor(again.policy.acting).start(N_ENVS)
    for _ in range(3):
        action, state = agent.predict(seen, state, start, deterministic=True)
        np.testing.assert_array_equal(acting.act(seen), action)
        start = np.zeros(N_ENVS, bool)
