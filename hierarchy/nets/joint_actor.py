"""What acts by one choice among all actions there are, given the last observations alone: plain torch, no learner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.validation import SettingError, setting
from hierarchy.nets.action_form import form_of
from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.joint_choices import MOST_JOINT, JointChoices
from hierarchy.nets.memory import Memory
from hierarchy.nets.observing_form import ObservingForm
from hierarchy.nets.preprocessing import Normaliser, Preprocessor

NEVER = -1e9
"""In the place of the value of an action that is not to be taken."""


@dataclass(frozen=True, kw_only=True)
class JointForm(ObservingForm):
    """What an actor's networks are, apart from their parameters."""

    least_share: float | None = setting(None, ge=0, lt=1)
    """actions less likely in the data than this share of the likeliest are not taken; None takes any"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action.kind == "box" or JointChoices(self.action).n > MOST_JOINT:
            raise SettingError("action", f"choices with at most {MOST_JOINT:,} combinations", self.action)


class JointEncoder(nn.Module):
    """Observations ``(n, history * n_observed)`` to features ``(n, hidden_size)``, gated by the context."""

    def __init__(self, form: JointForm) -> None:
        super().__init__()
        seen = spaces.Box(-np.inf, np.inf, (form.history * form.n_observed,), np.float32)
        self._gate = ContextGate(seen, form.n_terms, form.hidden_size)
        self._layer = nn.Linear(form.hidden_size, form.hidden_size)

    def forward(self, observations: th.Tensor) -> th.Tensor:
        features: th.Tensor = th.tanh(self._layer(self._gate(observations)))
        return features


class JointActor(nn.Module):
    """Observations to actions, with nothing remembered; it shares its networks with whoever trains them.

    Parameters
    ----------
    form
        What its networks are.
    encoder, values
        From observations to features, and to a number for every combination: its value, or how likely it is.
    likely
        From features to logits of what the data does, where ``form.least_share`` asks for it.
    normaliser
        Of observations, if they are normalised.
    """

    def __init__(
        self,
        form: JointForm,
        encoder: nn.Module,
        values: nn.Module,
        likely: nn.Module | None = None,
        normaliser: Normaliser | None = None,
    ) -> None:
        super().__init__()
        self.form, self.head = form, JointChoices(form.action)
        self.encoder, self.values, self.likely, self.normaliser = encoder, values, likely, normaliser

    def preprocessor(self, n_envs: int) -> Preprocessor:
        """What makes the actor's observations from those of a world."""
        return Preprocessor(self.form.preprocessing, n_envs, self.form.n_observed, self.normaliser)

    def initial_memory(self, n_envs: int) -> Memory:
        """None."""
        return ()

    def parameters_of(self, observations: th.Tensor) -> th.Tensor:
        """A number for every combination ``(n, n_combinations)``, the largest of which is taken."""
        features = self.encoder(observations)
        values: th.Tensor = self.values(features)
        if self.likely is None:
            return values
        assert self.form.least_share is not None
        logits = self.likely(features)
        likeliest = logits.max(-1, keepdim=True).values
        least = likeliest + math.log(self.form.least_share) if self.form.least_share else -th.inf
        return th.where(logits > least, values, th.full_like(values, NEVER))

    def step(self, observations: th.Tensor, memory: Memory, keep: th.Tensor) -> tuple[th.Tensor, Memory]:
        """See :meth:`hierarchy.nets.actor.RecurrentActor.step`."""
        return self.parameters_of(observations), ()

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> JointActor:
        """The actor for a world with these spaces.

        Raises
        ------
        ValueError
            It was trained for other observations or actions.
        """
        assert observation_space.shape is not None
        wanted, trained = (observation_space.shape[0], form_of(action_space)), (self.form.n_observed, self.form.action)
        if wanted != trained:
            raise ValueError(f"observations and actions must be {trained}, got {wanted}")
        return self


def build(form: JointForm) -> JointActor:
    """An actor whose parameters are still to be filled in."""
    n = JointChoices(form.action).n
    likely = None if form.least_share is None else nn.Linear(form.hidden_size, n)
    normaliser = Normaliser(form.n_observed, form.n_terms) if form.normalise else None
    return JointActor(form, JointEncoder(form), nn.Linear(form.hidden_size, n), likely, normaliser)
