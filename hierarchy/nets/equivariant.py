"""A recurrent policy that treats the parts of an observation alike, so that it runs on any number of them.

An observation is `n_parts` interchangeable parts, one after another with the same features, the last of which is 1 if the
part is there and 0 if not; then features that belong to no part; then the context. An action is equally many choices of
equally many levels for each part, those of a part side by side. Renaming parts renames their logits and leaves the value as
it was (Zaheer et al., Deep Sets, NeurIPS 2017); no parameter's shape depends on how many there are, and a part that isn't
there changes nothing.

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
        super().__init__(observation_space, 2 * self.width)
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
        parts = of_parts.reshape(len(observations), -1, self.n_features).transpose(0, 1)
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


class EquivariantLstmPolicy(FusedLstmPolicy):
    """`FusedLstmPolicy` over a :class:`PartEncoder`, with one head for all parts.

    The LSTMs take the pooled features alone: what is remembered is of all parts together.

    Raises
    ------
    ValueError
        The action isn't equally many choices of equally many levels per part, or the observation has other parts.
    """

    features_extractor: PartEncoder
    action_net: PartHead

    @property
    def _n_parts(self) -> int:
        """Of what it observes."""
        encoder = self.features_extractor
        n_features: int = self.observation_space.shape[0] - encoder.n_shared - encoder.n_terms  # type: ignore[index]
        return n_features // encoder.n_features

    def make_features_extractor(self) -> PartEncoder:
        encoder = self.features_extractor_class(self.observation_space, **self.features_extractor_kwargs)
        assert isinstance(encoder, PartEncoder)
        return encoder

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        n_choices, n_levels = choices(self.action_space, self._n_parts)
        n_logits = n_choices * n_levels
        self.action_net = PartHead(self.features_extractor.width, self.mlp_extractor.latent_dim_pi, n_logits)
        for module in self.action_net.children():
            self.init_weights(module, gain=0.01 if module is self.action_net.logits else np.sqrt(2))

    @th.no_grad()
    def begin_near(self, action: Array, logit: float) -> None:
        """Prefer an action ``(n_parts * n_choices,)``, the same levels for all parts, in every state.

        Raises
        ------
        ValueError
            The levels differ.
        """
        of_parts = action.reshape(self._n_parts, -1)
        if (of_parts != of_parts[0]).any():
            raise ValueError(f"action must be the same levels for all parts, got {action}")
        last, n_choices = self.action_net.logits, of_parts.shape[1]
        head = Categorical([last.out_features // n_choices] * n_choices)
        last.bias.copy_(head.preferring(of_parts[0], logit))

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
            The features of a part, the shared ones, the choices or the context are not those that the policy knows.
        """
        encoder = self.features_extractor
        assert observation_space.shape is not None
        n_parts, rest = divmod(observation_space.shape[0] - encoder.n_shared - encoder.n_terms, encoder.n_features)
        if rest or n_parts < 1:
            wanted = f"parts of {encoder.n_features} features, {encoder.n_shared} shared ones and {encoder.n_terms} weights"
            raise ValueError(f"observation_space must be {wanted}, got shape {observation_space.shape}")
        known, found = choices(self.action_space, self._n_parts), choices(action_space, n_parts)
        if found != known:
            wanted = f"{known[0]} choices of {known[1]} levels per part"
            raise ValueError(f"action_space must be {wanted}, got {found[0]} of {found[1]}")
        other = copy.deepcopy(self)
        other.observation_space, other.action_space = observation_space, action_space
        other.action_dist, other.head = make_proba_distribution(action_space), head_of(action_space, None)
        return other
