"""What each action gains over the nominal one, estimated from observations by an ensemble of small networks.

Under a context a gain is that of the terms of the reward, weighted, so the same estimates serve every context. Members of
the ensemble differ in where they began and in the order of what they learned from; where they disagree, little is known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch as th
from torch import nn

from envs.core.arrays import FloatArray32, IntArray
from envs.core.layout import context_of

N_MEMBERS = 4
WIDTH = 128
SMALLEST_SPREAD = 0.01
"""Of a feature of observations, in its own units."""
SHARPNESS = 10.0
"""Logits of a score that is as large as the spread of all actions' scores."""


class Advantages(nn.Module):
    """Gains of actions over the nominal one.

    Parameters
    ----------
    n_observed
        Length of an observation, whose last ``n_terms`` entries are the context.
    n_actions, nominal
        How many actions there are, and the number of the nominal one, which gains nothing over itself.
    n_terms
        Length of the context.
    weighted
        Whether gains are those of the reward's terms, weighted by the context; else there is one gain for all contexts.
    n_errors
        Spreads of the ensemble that are taken off a gain.
    """

    mean: th.Tensor
    spread: th.Tensor

    def __init__(self, n_observed: int, n_actions: int, nominal: int, n_terms: int, weighted: bool, n_errors: float) -> None:
        super().__init__()
        self.n_actions, self.nominal, self.n_terms, self.weighted = n_actions, nominal, n_terms, weighted
        self.n_errors = n_errors
        self.n_measured = n_terms if weighted else 1
        sizes = (n_observed, WIDTH, WIDTH, n_actions * self.n_measured)
        self.weights = nn.ParameterList(th.zeros(N_MEMBERS, *pair) for pair in itertools.pairwise(sizes))
        self.biases = nn.ParameterList(th.zeros(N_MEMBERS, 1, size) for size in sizes[1:])
        self.register_buffer("mean", th.zeros(n_observed))
        self.register_buffer("spread", th.ones(n_observed))

    def layers(self) -> Iterator[tuple[th.Tensor, th.Tensor]]:
        """Weights ``(n_members, n_in, n_out)`` and biases ``(n_members, 1, n_out)``, layer by layer."""
        return zip(self.weights, self.biases, strict=True)

    @th.no_grad()
    def begin(self, generator: th.Generator) -> None:
        """Draw the weights of all layers but the last, which stays zero: no action gains anything yet.

        The nominal one never will: it is not tried, so nothing is learned of it.
        """
        for weight, bias in self.layers():
            bound = 1.0 / math.sqrt(weight.shape[1])
            weight.uniform_(-bound, bound, generator=generator)
            bias.zero_()
        weight.zero_()

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """Gains ``(n_members, n, n_actions, n_measured)`` for observations ``(n, n_observed)``, or as many of each."""
        x = (observations - self.mean) / self.spread
        x = x if x.ndim == 3 else x.expand(N_MEMBERS, *x.shape)
        *hidden, (weight, bias) = self.layers()
        for inner, offset in hidden:
            x = th.tanh(th.baddbmm(offset, x, inner))
        return th.baddbmm(bias, x, weight).view(*x.shape[:2], self.n_actions, self.n_measured)

    def scores(self, observations: th.Tensor, n_errors: float | None = None) -> th.Tensor:
        """What each action is held to gain ``(n, n_actions)``: 0 for the nominal one, which nothing is taken off."""
        gains = self(observations)
        if self.weighted:
            gains = gains * context_of(observations, self.n_terms)[:, None]
        of_members = gains.sum(-1)
        errors = self.n_errors if n_errors is None else n_errors
        scores: th.Tensor = of_members.mean(0) - errors * of_members.std(0)
        return scores

    def logits(self, observations: th.Tensor) -> th.Tensor:
        """Logits of all actions ``(n, n_actions)``: scores in units of their spread, times :data:`SHARPNESS`."""
        scores = self.scores(observations)
        return SHARPNESS * scores / (scores.std(-1, keepdim=True) + 1e-9)

    def best(self, observations: FloatArray32) -> IntArray:
        """The action with the best score ``(n,)``; the nominal one where no other gains anything."""
        with th.inference_mode():
            score, action = self.scores(th.from_numpy(observations)).max(-1)
            best: IntArray = th.where(score > 0, action, self.nominal).numpy().astype(np.int64)
        return best
