"""What is done to observations before a policy observes them, the same in training and in acting: they are normalised by
moments, clipped, and stacked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import BoolArray, FloatArray32
from envs.core.state import Tree

CLIP_NORMALISED = 10.0
"""Normalised observations are held within this bound: SB3's default."""
EPSILON = 1e-8
"""Added to a variance before it divides: SB3's default."""
FIRST_COUNT = 1e-4
"""What moments weigh before the first sample: SB3's default."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to observations."""

    n_terms: int = 0
    """length of the context, which ends an observation and is never normalised"""
    history: int = 1
    """observations that are stacked, the newest last"""
    normalise: bool = False
    """shift and scale by running moments"""

    def n_unstacked(self, n_features: int) -> int:
        """Length of an observation of the world, given that of a policy's."""
        return n_features // self.history

    def stacked_space(self, space: spaces.Box) -> spaces.Box:
        """What a policy observes of a world whose observation is ``space``."""
        return spaces.Box(np.tile(space.low, self.history), np.tile(space.high, self.history), dtype=np.float32)


class Normaliser(nn.Module):
    """Observations ``(..., n_features)`` in units of their spread; moments run in training and are kept with the policy.

    The context is left as it is: its weights are a mix; shifted and stretched they would be another.
    """

    mean: th.Tensor
    var: th.Tensor
    count: th.Tensor

    def __init__(self, n_features: int, n_terms: int) -> None:
        super().__init__()
        self.n_terms = n_terms
        self.register_buffer("mean", th.zeros(n_features, dtype=th.float64))
        self.register_buffer("var", th.ones(n_features, dtype=th.float64))
        self.register_buffer("count", th.tensor(FIRST_COUNT, dtype=th.float64))

    def normalise(self, observations: FloatArray32) -> FloatArray32:
        """Centred, scaled and clipped; in double precision, so that a mean large beside its spread costs nothing."""
        scaled = (observations - self.mean.numpy()) / np.sqrt(self.var.numpy() + EPSILON)
        clipped: FloatArray32 = np.clip(scaled, -CLIP_NORMALISED, CLIP_NORMALISED).astype(np.float32)
        return clipped

    def get_state(self) -> Tree:
        """The moments."""
        return {"mean": self.mean.numpy().copy(), "var": self.var.numpy().copy(), "count": float(self.count)}

    def set_state(self, state: Tree) -> None:
        """Go on with other moments."""
        for name, buffer in self.named_buffers():
            buffer.copy_(th.as_tensor(np.asarray(state[name], np.float64)))


class Stack:
    """The last observations of every env, ``(n_envs, history * n_features)``, the newest last; zeros before the first."""

    def __init__(self, n_envs: int, n_features: int, history: int) -> None:
        self._n_features = n_features
        self._stacked = np.zeros((n_envs, history * n_features), np.float32)

    def ending_with(self, env: int, observation: FloatArray32) -> FloatArray32:
        """What the stack of an env would be with one more observation ``(n_features,)``."""
        return np.concatenate([self._stacked[env, self._n_features :], observation])

    def push(self, observations: FloatArray32, starts: BoolArray) -> FloatArray32:
        """The stack with ``observations (n_envs, n_features)``, and nothing before them where an episode starts."""
        before = np.where(starts[:, None], np.float32(0.0), self._stacked[:, self._n_features :])
        self._stacked = np.concatenate([before, observations], axis=1)
        return self._stacked

    def get_state(self) -> Tree:
        """The stack."""
        return {"stacked": self._stacked.copy()}

    def set_state(self, state: Tree) -> None:
        """Go on with another stack."""
        self._stacked = np.array(state["stacked"], np.float32)


class Preprocessor:
    """Observations of a batch as a policy observes them.

    Parameters
    ----------
    n_features
        Of an observation of the world.
    normaliser
        Whose moments are used; None leaves observations as they are.
    """

    def __init__(self, preprocessing: Preprocessing, n_envs: int, n_features: int, normaliser: Normaliser | None) -> None:
        self.normaliser = normaliser
        self._stack = Stack(n_envs, n_features, preprocessing.history) if preprocessing.history > 1 else None

    def observe(self, observations: FloatArray32, starts: BoolArray) -> FloatArray32:
        """``(n_envs, n_features)`` to what the policy observes; ``starts (n_envs,)`` where an episode starts."""
        scaled = observations if self.normaliser is None else self.normaliser.normalise(observations)
        return scaled if self._stack is None else self._stack.push(scaled, starts)

    def last(self, env: int, observation: FloatArray32) -> FloatArray32:
        """What the policy would observe next in an env; nothing is remembered of it."""
        scaled = observation if self.normaliser is None else self.normaliser.normalise(observation)
        return scaled if self._stack is None else self._stack.ending_with(env, scaled)

    def get_state(self) -> Tree:
        """What moves in acting: the stack. Moments are the normaliser's."""
        return {} if self._stack is None else self._stack.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        if self._stack is not None:
            self._stack.set_state(state)
