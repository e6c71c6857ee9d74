"""A rollout kept as it comes, and cut into whole sequences for the updates of a recurrent policy.

The samples of a rollout are put env after env, in an order drawn anew for every epoch, and cut into minibatches of
`batch_size`. Within a minibatch a sequence ends where its env or its episode does. Stock sb3-contrib does the same, but for
beginning its only order anywhere, which cuts a sequence in two; given the same samples, minibatches are the same. All
sequences of a minibatch are located, gathered and padded with a few array operations, and only the input of the LSTM is
padded. A policy's memory is kept as it comes, whatever its parts mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray32, IntArray
from hierarchy.nets.memory import Memory


class Minibatch(NamedTuple):
    """Samples of whole sequences, step by step; L is the length of the longest, S the number of sequences."""

    observations: th.Tensor  # (L * S, n_features), shorter sequences padded
    place: th.Tensor | None  # (n_samples,) where the samples stand among them; None when nothing is padded
    n_sequences: int
    memory: Memory  # (S, ...) each part, before the first step of every sequence
    actions: th.Tensor  # (n_samples, n_choices)
    old_log_prob: FloatArray32  # (n_samples,)
    advantages: FloatArray32  # (n_samples,)
    returns: FloatArray32  # (n_samples,)


class Evaluation(NamedTuple):
    """What a policy makes of the samples of a minibatch, ``(n_samples,)`` each."""

    values: th.Tensor
    log_prob: th.Tensor
    entropy: th.Tensor


class Layout(NamedTuple):
    """How samples lie in padded sequences, all first steps before all second ones."""

    first: IntArray  # (S,) the sample that each sequence begins with
    padded: IntArray  # (L * S,) the sample at every place; padding repeats the first sample
    place: IntArray  # (n_samples,) the places that hold a sample


def lay_out(samples: IntArray, begins: BoolArray) -> Layout:
    """Lay samples ``(n_samples,)`` out as sequences; one begins at the first and wherever ``begins`` is set."""
    heads = begins.copy()
    heads[0] = True
    first = np.flatnonzero(heads)
    sequence = np.cumsum(heads) - 1
    step = np.arange(len(samples)) - first[sequence]
    place = step * len(first) + sequence
    filled = np.zeros((step.max() + 1) * len(first), np.bool_)
    filled[place] = True
    padded = np.full(len(filled), samples[0])
    padded[place] = samples
    return Layout(samples[first], padded, np.flatnonzero(filled))


def generalised_advantages(
    rewards: FloatArray32, values: FloatArray32, following: FloatArray32, over: FloatArray32, gamma: float, gae_lambda: float
) -> FloatArray32:
    """Advantages of the steps of a rollout, all ``(n_steps, n_envs, ...)`` (Schulman et al., ICLR 2016).

    Parameters
    ----------
    following
        Values of what each step led to.
    over
        1 where the step ended an episode, so that nothing followed.
    gamma, gae_lambda
        Discounts of what follows, and of how far ahead rewards are taken rather than values.
    """
    going_on = 1.0 - over
    advantages = np.zeros_like(rewards)
    advantage = np.zeros_like(rewards[0])
    for n in reversed(range(len(rewards))):
        delta = rewards[n] + gamma * following[n] * going_on[n] - values[n]
        advantage = delta + gamma * gae_lambda * going_on[n] * advantage
        advantages[n] = advantage
    return advantages


class SequenceBuffer:
    """One rollout of every env, with the memory that each step began with.

    Parameters
    ----------
    n_steps
        Of every env.
    memory
        Of all envs, as the policy begins with; which parts are to be kept follows from it.

    Attributes
    ----------
    estimates, returns
        Generalised advantage estimates ``(n_steps, n_envs)`` of a finished rollout, and the values that they aim at.
    advantages
        What the policy is trained on, ``(n_steps, n_envs)``: set by the learner.
    """

    def __init__(
        self, n_steps: int, n_envs: int, observation_space: spaces.Box, action_space: spaces.Space[Any], memory: Memory
    ) -> None:
        self.n_steps, self.n_envs = n_steps, n_envs
        shape = (n_steps, n_envs)
        assert observation_space.shape is not None
        assert action_space.shape is not None
        discrete = isinstance(action_space, (spaces.Discrete, spaces.MultiDiscrete))
        self.observations = np.zeros((*shape, *observation_space.shape), np.float32)
        self.actions = np.zeros((*shape, *(action_space.shape or (1,))), np.int64 if discrete else np.float32)
        self.rewards = np.zeros(shape, np.float32)
        self.starts = np.zeros(shape, np.float32)
        self.values = np.zeros(shape, np.float32)
        self.log_prob = np.zeros(shape, np.float32)
        self.memory = tuple(np.zeros((n_steps, *part.shape), np.float32) for part in memory)
        self.estimates = np.zeros(shape, np.float32)
        self.returns = np.zeros(shape, np.float32)
        self.advantages = np.zeros(shape, np.float32)
        self._n = 0

    @property
    def n_filled(self) -> int:
        """Steps of this rollout so far."""
        return self._n

    def reset(self) -> None:
        """Begin a new rollout."""
        self._n = 0

    def add(
        self,
        observations: FloatArray32,
        starts: Array,
        memory: Memory,
        actions: Array,
        log_prob: th.Tensor,
        values: th.Tensor,
        rewards: FloatArray32,
    ) -> None:
        """Take in one step of every env; ``memory`` is that before the step."""
        n = self._n
        self.observations[n], self.starts[n] = observations, starts
        self.actions[n], self.rewards[n] = actions, rewards
        self.log_prob[n], self.values[n] = log_prob.numpy(), values.numpy()
        for kept, part in zip(self.memory, memory, strict=True):
            kept[n] = part.numpy()
        self._n += 1

    def finish(self, last_values: FloatArray32, dones: BoolArray, gamma: float, gae_lambda: float) -> None:
        """Estimate advantages of a full rollout, given the values ``(n_envs,)`` of what comes after it.

        See :func:`generalised_advantages`.
        """
        over = np.append(self.starts[1:], dones[None].astype(np.float32), axis=0)
        following = np.append(self.values[1:], last_values[None], axis=0)
        self.estimates = generalised_advantages(self.rewards, self.values, following, over, gamma, gae_lambda)
        np.add(self.estimates, self.values, out=self.returns)

    def minibatches(self, batch_size: int) -> Iterator[Minibatch]:
        """One epoch: every sample once, the envs in random order."""
        envs = np.random.permutation(self.n_envs)  # noqa: NPY002  # the generator that SB3 seeds
        order = (envs[:, None] * self.n_steps + np.arange(self.n_steps)).ravel()
        for start in range(0, len(order), batch_size):
            yield self.minibatch(order[start : start + batch_size])

    def minibatch(self, samples: IntArray) -> Minibatch:
        """The minibatch of some samples; sample ``env * n_steps + step``, consecutive ones belong together."""
        env, step = np.divmod(samples, self.n_steps)
        layout = lay_out(samples, (self.starts[step, env] > 0) | (step == 0))
        padded_env, padded_step = np.divmod(layout.padded, self.n_steps)
        env, step = padded_env[layout.place], padded_step[layout.place]
        return Minibatch(
            observations=th.from_numpy(self.observations[padded_step, padded_env]),
            place=None if len(layout.place) == len(layout.padded) else th.from_numpy(layout.place),
            n_sequences=len(layout.first),
            memory=self._memory_before(layout.first),
            actions=th.from_numpy(self.actions[step, env]),
            old_log_prob=self.log_prob[step, env],
            advantages=self.advantages[step, env],
            returns=self.returns[step, env],
        )

    def _memory_before(self, first: IntArray) -> Memory:
        """The memory before the samples ``first (S,)``, cleared where an episode begins."""
        env, step = np.divmod(first, self.n_steps)
        keep = 1.0 - self.starts[step, env]
        return tuple(th.from_numpy(part[step, env] * keep.reshape(-1, *[1] * (part.ndim - 2))) for part in self.memory)
