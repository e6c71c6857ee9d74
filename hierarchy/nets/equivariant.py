"""A recurrent policy that treats the parts of an observation alike, so that it runs on any number of them.

An observation is `n_parts` interchangeable parts, one after another with the same features, the last of which is 1 if the
part is there and 0 if not; then the context. An action is a choice of equally many levels for each part. Renaming parts
renames their logits and leaves the value as it was (Zaheer et al., Deep Sets, NeurIPS 2017); no parameter's shape depends on
how many there are, and a part that isn't there changes nothing.

Within the networks the parts are the first axis, ``(n_parts, n, ...)``: torch reduces it fast, where it is slow over a short
last one.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution, make_proba_distribution
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from envs.core.arrays import Array
from envs.core.layout import context_of, world_of
from hierarchy.nets.context_gate import logarithms
from hierarchy.nets.heads import Categorical, head_of
from hierarchy.nets.memory import Memory
from hierarchy.nets.parts import choices
from hierarchy.nets.recurrent import FusedLstmPolicy

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


class PartEncoder(BaseFeaturesExtractor):
    """Encodings of the parts of an observation, and features of all of them together that know no order.

    A part shows its features as they are and how they stand among the parts (:func:`standing`): what distinguishes them may
    be small beside what they share, and a network that treats them alike would learn the shared side first and saturate.
    The context gates the encoding as in :class:`hierarchy.nets.context_gate.ContextGate`. A second layer takes a part and
    the pooled encodings of all, and is pooled again.

    Parameters
    ----------
    observation_space
        A box ``(n_parts * n_features + n_terms,)``.
    n_terms
        Length of the context.
    features_dim
        Width of the first layer, and of the output if even; the second layer is half as wide.
    n_parts
        Of the observations of the space; others may be encoded all the same.

    Raises
    ------
    ValueError
        The observation can't be cut into so many parts.
    """

    def __init__(self, observation_space: spaces.Box, n_terms: int, features_dim: int, n_parts: int) -> None:
        self.width = (features_dim + 1) // 2
        super().__init__(observation_space, 2 * self.width)
        self.n_terms = n_terms
        self.n_features, rest = divmod(observation_space.shape[0] - n_terms, n_parts)
        if rest or self.n_features < 1:
            shape = observation_space.shape
            raise ValueError(f"observation_space must be {n_parts} equal parts and {n_terms} weights, got shape {shape}")
        self._first = nn.Linear(2 * self.n_features, features_dim)
        self._context = nn.Linear(2 * n_terms, 2 * features_dim)
        self._second = nn.Linear(features_dim, self.width)
        self._others = nn.Linear(2 * features_dim, self.width, bias=False)

    def encode(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
        """``(n, n_parts * n_features + n_terms)`` to ``(n, features_dim)`` and the parts' ``(n_parts, n, width)``."""
        context = context_of(observations, self.n_terms)
        of_world = world_of(observations, self.n_terms)
        parts = of_world.reshape(len(observations), -1, self.n_features).transpose(0, 1)
        present = parts[..., -1:]
        shift, gate = self._context(th.cat([context, logarithms(context)], dim=1)).chunk(2, dim=1)
        first = th.tanh(self._first(th.cat([parts, standing(parts, present)], dim=2)) + shift) * (1.0 + gate)
        second = th.tanh(self._second(first) + self._others(pooled(first, present)))
        return pooled(second, present), second

    def forward(self, observations: th.Tensor) -> th.Tensor:
        """``(n, n_parts * n_features + n_terms)`` to ``(n, features_dim)``."""
        return self.encode(observations)[0]


class PartHead(nn.Module):
    """Logits of each part's levels from its encoding and the actor's latent, the same for all parts."""

    def __init__(self, n_encoded: int, n_latent: int, n_levels: int) -> None:
        super().__init__()
        self._part = nn.Linear(n_encoded, n_latent)
        self._latent = nn.Linear(n_latent, n_latent, bias=False)
        self.logits = nn.Linear(n_latent, n_levels)

    def forward(self, parts: th.Tensor, latent: th.Tensor) -> th.Tensor:
        """``(n_parts, n, n_encoded)`` and ``(n, n_latent)`` to ``(n, n_parts * n_levels)``."""
        logits: th.Tensor = self.logits(th.tanh(self._part(parts) + self._latent(latent)))
        return logits.transpose(0, 1).flatten(start_dim=1)


class EquivariantLstmPolicy(FusedLstmPolicy):
    """`FusedLstmPolicy` over a :class:`PartEncoder`, with one head for all parts.

    The LSTMs take the pooled features alone: what is remembered is of all parts together.

    Raises
    ------
    ValueError
        The action isn't a choice of equally many levels per part, or the observation has other parts.
    """

    features_extractor: PartEncoder
    action_net: PartHead

    def make_features_extractor(self) -> PartEncoder:
        n_parts, _ = choices(self.action_space)
        kwargs = self.features_extractor_kwargs | {"n_parts": n_parts}
        encoder = self.features_extractor_class(self.observation_space, **kwargs)
        assert isinstance(encoder, PartEncoder)
        return encoder

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        _, n_levels = choices(self.action_space)
        self.action_net = PartHead(self.features_extractor.width, self.mlp_extractor.latent_dim_pi, n_levels)
        for module in self.action_net.children():
            self.init_weights(module, gain=0.01 if module is self.action_net.logits else np.sqrt(2))

    @th.no_grad()
    def begin_near(self, action: Array, logit: float) -> None:
        """Prefer an action ``(n_parts,)``, the same level for all parts, in every state.

        Raises
        ------
        ValueError
            The levels differ.
        """
        if (action != action[0]).any():
            raise ValueError(f"action must be the same level for all parts, got {action}")
        last = self.action_net.logits
        last.bias.copy_(Categorical([last.out_features]).preferring(action[:1], logit))

    def encoded(self, observations: th.Tensor) -> tuple[th.Tensor, th.Tensor | None]:
        return self.features_extractor.encode(observations)

    def action_parameters(self, hidden: th.Tensor, parts: th.Tensor | None, place: th.Tensor | None = None) -> th.Tensor:
        assert parts is not None
        own = parts if place is None else parts.index_select(1, place)
        logits: th.Tensor = self.action_net(own, self.mlp_extractor.forward_actor(hidden))
        return logits

    def get_distribution(  # type: ignore[override]  # as sb3-contrib has it, whose types are not known
        self, obs: th.Tensor, lstm_states: Memory, episode_starts: th.Tensor
    ) -> tuple[Distribution, tuple[th.Tensor, ...]]:
        """One step of every env, as sb3-contrib's `predict` asks for it."""
        hidden, carried = lstm_states
        parameters, memory = self.step_actor(obs, (hidden[0], carried[0]), 1.0 - episode_starts[:, None])
        return self.action_dist.proba_distribution(parameters), tuple(state[None] for state in memory)

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> EquivariantLstmPolicy:
        """A policy with the same parameters, a copy, for another number of parts.

        Raises
        ------
        ValueError
            The features of a part, the levels or the context are not those that the policy knows.
        """
        n_parts, n_levels = choices(action_space)
        _, known = choices(self.action_space)
        if n_levels != known:
            raise ValueError(f"action_space must be a choice of {known} levels per part, got {n_levels}")
        n_features, n_terms = self.features_extractor.n_features, self.features_extractor.n_terms
        wanted = (n_parts * n_features + n_terms,)
        if observation_space.shape != wanted:
            parts = f"{n_parts} parts of {n_features} features and {n_terms} weights"
            raise ValueError(f"observation_space must have shape {wanted} ({parts}), got {observation_space.shape}")
        other = copy.deepcopy(self)
        other.observation_space, other.action_space = observation_space, action_space
        other.action_dist, other.head = make_proba_distribution(action_space), head_of(action_space, None)
        return other
