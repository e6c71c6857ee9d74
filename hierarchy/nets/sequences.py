"""A rollout kept as it comes, and cut into whole sequences for the updates of a recurrent policy.

The samples of a rollout are put env after env, in an order drawn anew for every epoch, and cut into minibatches of
`batch_size`. Within a minibatch a sequence ends where its env or its episode does. Stock sb3-contrib does the same, but for
beginning its only order anywhere, which cuts a sequence in two; given the same samples, minibatches are the same. All
sequences of a minibatch are found, gathered and padded with a few array operations, and only the input of the LSTM is
padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch as th
from gymnasium import spaces
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hierarchy.nets.recurrent import Memories, Memory

IntArray = NDArray[np.int64]
FloatArray32 = NDArray[np.float32]


class Minibatch(NamedTuple):
    """Samples of whole sequences, step by step; L is the length of the longest, S the number of sequences."""

    observations: th.Tensor  # (L * S, n_features), shorter sequences padded
    place: th.Tensor | None  # (n_samples,) where the samples stand among them; None when nothing is padded
    n_sequences: int
    actor: Memory  # (S, hidden) each, before the first step of every sequence
    critic: Memory
    actions: th.Tensor  # (n_samples, n_choices)
    old_log_prob: FloatArray32  # (n_samples,)
    advantages: FloatArray32  # (n_samples,)
    returns: FloatArray32  # (n_samples,)


class Layout(NamedTuple):
    """How samples lie in padded sequences, all first steps before all second ones."""

    first: IntArray  # (S,) the sample that each sequence begins with
    padded: IntArray  # (L * S,) the sample at every place; padding repeats the first sample
    place: IntArray  # (n_samples,) the places that hold a sample


def lay_out(samples: IntArray, begins: NDArray[np.bool_]) -> Layout:
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


class SequenceBuffer:
    """One rollout of every env, with the memories that each step began with.

    Parameters
    ----------
    n_steps, n_envs
        Size of the rollout.
    hidden_size
        Of both LSTMs.
    gamma, gae_lambda
        Of generalised advantage estimation (Schulman et al., ICLR 2016).
    """

    def __init__(
        self,
        n_steps: int,
        n_envs: int,
        observation_space: spaces.Box,
        action_space: spaces.Space[Any],
        hidden_size: int,
        gamma: float,
        gae_lambda: float,
    ) -> None:
        self.n_steps, self.n_envs = n_steps, n_envs
        self._gamma, self._gae_lambda = gamma, gae_lambda
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
        self.memories = np.zeros((*shape, 4, hidden_size), np.float32)  # actor's hidden and cell state, critic's
        self.advantages = np.zeros(shape, np.float32)
        self.returns = np.zeros(shape, np.float32)
        self._n = 0

    def reset(self) -> None:
        """Begin a new rollout."""
        self._n = 0

    def add(
        self,
        observations: FloatArray32,
        starts: NDArray[Any],
        memories: Memories,
        actions: NDArray[Any],
        log_prob: th.Tensor,
        values: th.Tensor,
        rewards: FloatArray32,
    ) -> None:
        """Take in one step of every env; ``memories`` are those before the step."""
        n = self._n
        self.observations[n], self.starts[n] = observations, starts
        self.actions[n], self.rewards[n] = actions, rewards
        self.log_prob[n], self.values[n] = log_prob.numpy(), values.numpy()
        for i, state in enumerate((*memories.actor, *memories.critic)):
            self.memories[n, :, i] = state.numpy()
        self._n += 1

    def finish(self, last_values: FloatArray32, dones: NDArray[Any]) -> None:
        """Advantages and returns of a full rollout, given the values ``(n_envs,)`` of what comes after it."""
        following, going_on = last_values, 1.0 - dones.astype(np.float32)
        advantage = np.zeros(self.n_envs, np.float32)
        for n in reversed(range(self.n_steps)):
            delta = self.rewards[n] + self._gamma * following * going_on - self.values[n]
            advantage = delta + self._gamma * self._gae_lambda * going_on * advantage
            self.advantages[n] = advantage
            following, going_on = self.values[n], 1.0 - self.starts[n]
        np.add(self.advantages, self.values, out=self.returns)

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
        memories = self._memories(layout.first)
        padded_env, padded_step = np.divmod(layout.padded, self.n_steps)
        env, step = padded_env[layout.place], padded_step[layout.place]
        return Minibatch(
            observations=th.from_numpy(self.observations[padded_step, padded_env]),
            place=None if len(layout.place) == len(layout.padded) else th.from_numpy(layout.place),
            n_sequences=len(layout.first),
            actor=(memories[0], memories[1]),
            critic=(memories[2], memories[3]),
            actions=th.from_numpy(self.actions[step, env]),
            old_log_prob=self.log_prob[step, env],
            advantages=self.advantages[step, env],
            returns=self.returns[step, env],
        )

    def _memories(self, first: IntArray) -> th.Tensor:
        """Memories before the samples ``first (S,)``, cleared where an episode begins; ``(4, S, hidden)``."""
        env, step = np.divmod(first, self.n_steps)
        keep = 1.0 - self.starts[step, env]
        return th.from_numpy(np.ascontiguousarray((self.memories[step, env] * keep[:, None, None]).swapaxes(0, 1)))
