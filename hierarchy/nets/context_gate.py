"""Features of an observation under a context: what a measurement means depends on what matters now."""

from __future__ import annotations

import math

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.layout import context_of

SMALLEST_WEIGHT = 0.01
"""Weights of a context are distinguished down to about this one."""
LOG_SMALLEST = math.log(SMALLEST_WEIGHT)


def logarithms(context: th.Tensor) -> th.Tensor:
    """Logarithms of contexts ``(n, n_terms)``, 0 for weight 0 and about 1 for weight 1."""
    return 1.0 - th.log(context + SMALLEST_WEIGHT) / LOG_SMALLEST


class ContextGate(nn.Module):
    """Features of an observation whose last entries are the context, which gates what is made of the rest.

    ``tanh(W [x, c, log c]) * (1 + V [c, log c])``: what a measurement means depends on what matters now, and a product is
    that directly where layers of sums have to learn it. What trades one term for another is the ratio of their weights, so
    the context is also shown as logarithms, which part a corner from its neighbourhood.

    Parameters
    ----------
    observation_space
        A box ``(n_features,)``.
    n_terms
        Length of the context.
    features_dim
        Width of the output; Stable-Baselines3 asks for it by this name.
    """

    def __init__(self, observation_space: spaces.Box, n_terms: int, features_dim: int) -> None:
        super().__init__()
        self.features_dim, self.n_terms = features_dim, n_terms
        self._features = nn.Linear(observation_space.shape[0] + n_terms, features_dim)
        self._gate = nn.Linear(2 * n_terms, features_dim)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, None]:
        """The features, and nothing of parts: it knows none."""
        return self(observations), None

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(n, n_features)`` to ``(n, features_dim)``."""
        context = context_of(observations, self.n_terms)
        logs = logarithms(context)
        gate: th.Tensor = 1.0 + self._gate(th.cat([context, logs], dim=1))
        return th.tanh(self._features(th.cat([observations, logs], dim=1))) * gate
