"""Networks over interchangeable parts, of plain torch: their number and order change no parameter.

An observation is `n_parts` interchangeable parts, one after another with the same features, the last of which is 1 if the
part is there and 0 if not; then features that belong to no part; then the context. Within the networks the parts are the
first axis, ``(n_parts, n, ...)``: torch reduces it fast, where it is slow over a short last one.
"""

from __future__ import annotations

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.layout import context_of, world_of
from hierarchy.nets.context_gate import logarithms

SMALLEST_VARIANCE = 1e-4
"""Of a feature over the parts: smaller differences are not blown up any further."""
FAR = 1e6
"""What is taken off an encoding so that it is never the largest."""


def standing(parts: th.Tensor, present: th.Tensor) -> th.Tensor:
    """How parts stand among those that are there: features ``(n_parts, n, n_features)`` centred and scaled over the parts.

    In double precision, so that no rounding is blown up where parts are nearly equal. Zero for a part that isn't there.
    """
    wide, count = parts.double(), present.sum(0).clamp(min=1.0)
    centred = (wide - (wide * present).sum(0) / count) * present
    variance = (centred * centred).sum(0) / count
    return (centred / (variance + SMALLEST_VARIANCE).sqrt()).float()


def pooled(encodings: th.Tensor, present: th.Tensor) -> th.Tensor:
    """Mean and maximum ``(n, 2 * width)`` of encodings ``(n_parts, n, width)`` over the parts that are there; 0 for none."""
    count = present.sum(0)
    mean = (encodings * present).sum(0) / count.clamp(min=1.0)
    largest = (encodings + (present - 1.0) * FAR).amax(0) * (count > 0)
    return th.cat([mean, largest], dim=1)


class PartEncoder(nn.Module):
    """Encodings of the parts of an observation, and features of all of them together that know no order.

    A part shows its features as they are and how they stand among the parts (:func:`standing`): what distinguishes them may
    be small beside what they share, and a network that treats them alike would learn the shared side first and saturate.
    Context and shared features gate the encoding as in :class:`hierarchy.nets.context_gate.ContextGate`. A second layer
    takes a part and the pooled encodings of all, and is pooled again.

    Parameters
    ----------
    observation_space
        A box ``(n_parts * n_features + n_shared + n_terms,)``.
    n_terms
        Length of the context.
    features_dim
        Width of the first layer, and of the output if even; the second layer is half as wide.
    n_parts
        Of the observations of the space; others may be encoded all the same.
    n_shared
        Features that belong to no part.

    Raises
    ------
    ValueError
        The observation can't be cut into so many parts.
    """

    def __init__(
        self, observation_space: spaces.Box, n_terms: int, features_dim: int, n_parts: int, n_shared: int = 0
    ) -> None:
        self.width = (features_dim + 1) // 2
        super().__init__()
        self.features_dim = 2 * self.width
        self.n_terms, self.n_shared = n_terms, n_shared
        self.n_features, rest = divmod(observation_space.shape[0] - n_shared - n_terms, n_parts)
        if rest or self.n_features < 1:
            others = f"{n_shared} shared features and {n_terms} weights"
            raise ValueError(
                f"observation_space must be {n_parts} equal parts, {others}, got shape {observation_space.shape}"
            )
        self._first = nn.Linear(2 * self.n_features, features_dim)
        self._context = nn.Linear(2 * n_terms + n_shared, 2 * features_dim)
        self._second = nn.Linear(features_dim, self.width)
        self._others = nn.Linear(2 * features_dim, self.width, bias=False)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """``(n, n_parts * n_features + n_shared + n_terms)`` to ``(n, features_dim)`` and ``(n_parts, n, width)``."""
        context = context_of(observations, self.n_terms)
        of_world = world_of(observations, self.n_terms)
        of_parts, shared = of_world.tensor_split([of_world.shape[1] - self.n_shared], dim=1)
        parts = of_parts.reshape(observations.shape[0], -1, self.n_features).transpose(0, 1)
        present = parts[..., -1:]
        shift, gate = self._context(th.cat([context, logarithms(context), shared], dim=1)).chunk(2, dim=1)
        first = th.tanh(self._first(th.cat([parts, standing(parts, present)], dim=2)) + shift) * (1.0 + gate)
        second = th.tanh(self._second(first) + self._others(pooled(first, present)))
        return pooled(second, present), second

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(n, n_parts * n_features + n_shared + n_terms)`` to ``(n, features_dim)``."""
        return self.encode(observations)[0]


class PartHead(nn.Module):
    """Logits of the levels of each part's choices from its encoding and the actor's latent, the same for all parts."""

    def __init__(self, n_encoded: int, n_latent: int, n_logits: int) -> None:
        super().__init__()
        self._part = nn.Linear(n_encoded, n_latent)
        self._latent = nn.Linear(n_latent, n_latent, bias=False)
        self.logits = nn.Linear(n_latent, n_logits)

    def forward(self, parts: th.Tensor, latent: th.Tensor) -> th.Tensor:
        """``(n_parts, n, n_encoded)`` and ``(n, n_latent)`` to ``(n, n_parts * n_logits)``."""
        logits: th.Tensor = self.logits(th.tanh(self._part(parts) + self._latent(latent)))
        return logits.transpose(0, 1).flatten(start_dim=1)
