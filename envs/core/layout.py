"""Where things stand in an observation: the world's features, the valid actions where they are shown, the context."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from envs.core.arrays import BoolArray, FloatArray, FloatArray32


class Layout(NamedTuple):
    """Numbers of entries, in the order in which they stand."""

    n_features: int  # of the world
    n_masked: int  # valid actions, 0 where they are not shown
    n_terms: int  # of the context

    @property
    def size(self) -> int:
        """Length of an observation."""
        return sum(self)

    def join(self, features: FloatArray32, action_set: BoolArray | None, context: FloatArray) -> FloatArray32:
        """An observation of every env ``(n_envs, size)``, a fresh array."""
        parts = [features, context.astype(np.float32)]
        if self.n_masked:
            assert action_set is not None
            parts.insert(1, action_set.astype(np.float32))
        return np.concatenate(parts, axis=1)

    def space(self, features: spaces.Box) -> spaces.Box:
        """The space of an observation, given that of the world's features; the rest is in [0, 1]."""
        n_rest = self.n_masked + self.n_terms
        low, high = np.zeros(n_rest, np.float32), np.ones(n_rest, np.float32)
        return spaces.Box(np.concatenate([features.low, low]), np.concatenate([features.high, high]), dtype=np.float32)


def context_of(observations: Any, n_terms: int) -> Any:
    """The contexts ``(..., n_terms)`` of observations, arrays or tensors alike; a view."""
    return observations[..., observations.shape[-1] - n_terms :]


def world_of(observations: Any, n_terms: int) -> Any:
    """The observations of the world alone; a view."""
    return observations[..., : observations.shape[-1] - n_terms]
