"""Recurrent PPO for an agent whose task is its context: no context drowns another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch as th

from envs.core.arrays import FloatArray32
from envs.core.layout import context_of
from envs.core.state import Stateful, Tree
from hierarchy.lower.fused_ppo import FusedRecurrentPPO
from hierarchy.nets.context_kinds import ContextKinds
from hierarchy.nets.saving import Tensors
from hierarchy.nets.sequences import SequenceBuffer

KEEP = 0.9
"""What a rollout leaves of the moments before it."""


class ContextScale:
    """Advantages in units of their spread under contexts of one kind.

    A step that saves a server changes a cost-first reward fifty times as much as a better dispatch changes a latency-first
    one. Normalised together, only the first would be learned. Dividing by the spread within a kind of context leaves each
    context its own best policy, since it only weighs contexts against each other (as PopArt does for tasks: Hessel et al.,
    AAAI 2019).

    Attributes
    ----------
    moments
        Count, sum and sum of squares by kind, ``(3, n_kinds)``.
    """

    def __init__(self, n_terms: int) -> None:
        self._kinds = ContextKinds(n_terms)
        self.moments = np.zeros((3, len(self._kinds)))

    def __call__(self, contexts: FloatArray32, advantages: FloatArray32) -> FloatArray32:
        """``advantages (n,)`` under ``contexts (n, k)``, centred and scaled within their kind."""
        kind = self._kinds.of(contexts)
        powers = (np.ones_like(advantages), advantages, advantages * advantages)
        fresh = [np.bincount(kind, weights=power, minlength=len(self._kinds)) for power in powers]
        self.moments = KEEP * self.moments + fresh
        count, total, squares = self.moments
        mean = total / np.maximum(count, 1e-8)
        spread = np.sqrt(np.maximum(squares / np.maximum(count, 1e-8) - mean * mean, 1e-10))
        return ((advantages - mean[kind]) / spread[kind]).astype(np.float32)

    def get_state(self) -> Tree:
        """A copy of the moments."""
        return {"moments": self.moments.copy()}

    def set_state(self, state: Tree) -> None:
        """Go on with other moments."""
        self.moments = np.array(state["moments"], np.float64)


class ContextualPPO(FusedRecurrentPPO):
    """`FusedRecurrentPPO` with advantages scaled by :class:`ContextScale`.

    Parameters
    ----------
    n_terms
        Length of the context, which ends the observation. (Has a default because SB3 builds an agent without arguments
        when it loads one, and then gives it what was saved, its scale included.)
    """

    def __init__(self, *args: Any, n_terms: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.n_terms = n_terms
        self.scale = ContextScale(n_terms)

    @property
    def moving(self) -> dict[str, Stateful]:
        return {**super().moving, "scale": self.scale}

    @property
    def learned(self) -> Tensors:
        return {**super().learned, "scale.moments": th.from_numpy(self.scale.moments)}

    def advantages(self, rollout: SequenceBuffer) -> FloatArray32:
        """The estimates, within their kind of context."""
        contexts = context_of(rollout.observations, self.n_terms).reshape(-1, self.n_terms)
        estimates = self.estimates(rollout)
        return self.scale(contexts, estimates.ravel()).reshape(estimates.shape)

    def estimates(self, rollout: SequenceBuffer) -> FloatArray32:
        """Advantages ``(n_steps, n_envs)`` in the units of what is aimed at."""
        return super().advantages(rollout)
