"""Recurrent PPO for an agent whose task is its context: no context drowns another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.simplex import simplex_grid

FloatArray32 = NDArray[np.float32]

N_POINTS = 4
"""Kinds of context along an edge of the simplex."""
KEEP = 0.9
"""What a rollout leaves of the moments before it."""


class ContextScale:
    """Advantages in units of their spread under contexts of one kind: the nearest point of a simplex grid.

    A step that saves a server changes a cost-first reward fifty times as much as a better dispatch changes a latency-first
    one. Normalised together, only the first would be learned. Dividing by the spread within a kind of context leaves each
    context its own best policy, since it only weighs contexts against each other (as PopArt does for tasks: Hessel et al.,
    AAAI 2019).
    """

    def __init__(self, n_terms: int) -> None:
        self._grid = simplex_grid(n_terms, N_POINTS).astype(np.float32)
        self._moments = np.zeros((3, len(self._grid)))  # count, sum, sum of squares

    def kinds(self, contexts: FloatArray32) -> NDArray[np.int64]:
        """The kind of each of ``contexts (n, k)``."""
        nearest: NDArray[np.int64] = ((contexts[:, None] - self._grid) ** 2).sum(-1).argmin(-1)
        return nearest

    def __call__(self, contexts: FloatArray32, advantages: FloatArray32) -> FloatArray32:
        """``advantages (n,)`` under ``contexts (n, k)``, centred and scaled within their kind."""
        kind = self.kinds(contexts)
        powers = (np.ones_like(advantages), advantages, advantages * advantages)
        fresh = [np.bincount(kind, weights=power, minlength=len(self._grid)) for power in powers]
        self._moments = KEEP * self._moments + fresh
        count, total, squares = self._moments
        mean = total / np.maximum(count, 1e-8)
        spread = np.sqrt(np.maximum(squares / np.maximum(count, 1e-8) - mean * mean, 1e-10))
        return ((advantages - mean[kind]) / spread[kind]).astype(np.float32)


class ContextualPPO(FusedRecurrentPPO):
    """`FusedRecurrentPPO` with advantages scaled by :class:`ContextScale`.

    Parameters
    ----------
    n_terms
        Length of the context, which ends the observation. (Has a default because SB3 builds agents without arguments
        when it loads them; a loaded agent is used, not trained on.)
    """

    def __init__(self, *args: Any, n_terms: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._n_terms = n_terms
        self._scale = ContextScale(n_terms)

    def train(self) -> None:
        buffer = self.rollout_buffer
        contexts = buffer.observations[..., -self._n_terms :].reshape(-1, self._n_terms)
        buffer.advantages[:] = self._scale(contexts, buffer.advantages.ravel()).reshape(buffer.advantages.shape)
        super().train()
