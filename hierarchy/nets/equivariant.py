"""A recurrent policy that treats the parts of an observation alike, so that it runs on any number of them.

An action is equally many choices of equally many levels for each part, those of a part side by side. Renaming parts
renames their logits and leaves the value as it was (Zaheer et al., Deep Sets, NeurIPS 2017); no parameter's shape depends on
how many there are, and a part that isn't there changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch as th
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.type_aliases import Schedule

from envs.core.arrays import Array
from hierarchy.nets.actor import ActorForm
from hierarchy.nets.heads import Categorical
from hierarchy.nets.memory import Memory
from hierarchy.nets.part_networks import PartEncoder, PartHead
from hierarchy.nets.parts import choices
from hierarchy.nets.recurrent import FusedLstmPolicy


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
    def form(self) -> ActorForm:
        encoder = self.features_extractor
        return replace(super().form, policy="equivariant", n_parts=self._n_parts, n_shared=encoder.n_shared)

    @property
    def _n_parts(self) -> int:
        """Of what it observes."""
        encoder = self.features_extractor
        n_features: int = self.observation_space.shape[0] - encoder.n_shared - encoder.n_terms  # type: ignore[index]
        return n_features // encoder.n_features

    def make_features_extractor(self) -> PartEncoder:  # type: ignore[override]  # see above
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

    def get_distribution(  # type: ignore[override]  # as sb3-contrib has it, whose types are not known
        self, obs: th.Tensor, lstm_states: Memory, episode_starts: th.Tensor
    ) -> tuple[Distribution, tuple[th.Tensor, ...]]:
        """One step of every env, as sb3-contrib's `predict` asks for it."""
        hidden, carried = lstm_states
        parameters, memory = self.acting.step(obs, (hidden[0], carried[0]), 1.0 - episode_starts[:, None])
        return self.action_dist.proba_distribution(parameters), tuple(state[None] for state in memory)
