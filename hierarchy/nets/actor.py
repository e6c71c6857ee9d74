"""The acting half of a recurrent policy, of plain torch: what is deployed, and kept without a learner.

It remembers two tensors ``(n_envs, hidden)``, hidden and cell state of an LSTM, or the one of a GRU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.validation import SettingError, setting
from hierarchy.nets.action_form import form_of
from hierarchy.nets.context_gate import ContextGate
from hierarchy.nets.heads import head_of
from hierarchy.nets.memory import Memory
from hierarchy.nets.observing_form import ObservingForm
from hierarchy.nets.part_networks import PartEncoder, PartHead
from hierarchy.nets.parts import choices
from hierarchy.nets.preprocessing import Normaliser, Preprocessor

NEARLY = 0.95
"""Share of the way to a bound at which squashed numbers begin that are to be there: at the bound tanh has no slope."""


def cell(lstm: nn.LSTM, features: th.Tensor, memory: Memory, keep: th.Tensor) -> Memory:
    """One step of an LSTM: the next hidden state, which is also the output, and cell state.

    Parameters
    ----------
    features
        ``(n_envs, n_features)``.
    memory
        Both of the last step.
    keep
        ``(n_envs, 1)``, 0 where an episode begins and the memory is cleared.
    """
    hidden, carried = memory
    return th.lstm_cell(features, (keep * hidden, keep * carried), *lstm.all_weights[0])


def gru_cell(gru: nn.GRU, features: th.Tensor, memory: Memory, keep: th.Tensor) -> Memory:
    """One step of a GRU: the next hidden state, which is also the output; arguments as those of :func:`cell`."""
    (hidden,) = memory
    return (th.gru_cell(features, keep * hidden, *gru.all_weights[0]),)


class Squashed(nn.Module):
    """Numbers within bounds: a linear layer, tanh, and the way to the bounds.

    Parameters
    ----------
    low, high
        Bounds ``(n,)``, finite.
    """

    def __init__(self, n_latent: int, low: th.Tensor, high: th.Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(n_latent, len(low))
        self._middle, self._reach = (low + high) / 2.0, (high - low) / 2.0

    @th.no_grad()
    def begin_at(self, numbers: th.Tensor) -> None:
        """Make these ``(n,)`` of nothing, or what is nearly there where they are at a bound."""
        share = (numbers - self._middle) / self._reach
        self.linear.bias.copy_(share.clamp(-NEARLY, NEARLY).atanh())

    def forward(self, latent: th.Tensor) -> th.Tensor:
        """Of the layer before ``(n, n_latent)``: ``(n, n_numbers)``."""
        return self._middle + self._reach * th.tanh(self.linear(latent))


def action_parameters(action_net: nn.Module, latent: th.Tensor, parts: th.Tensor | None) -> th.Tensor:
    """Parameters of the action distribution ``(n, n_parameters)``.

    Parameters
    ----------
    latent
        Of everything together ``(n, n_latent)``.
    parts
        Encodings ``(n_parts, n, width)``, where the network has one head for all parts; None elsewhere.
    """
    parameters: th.Tensor = action_net(latent) if parts is None else action_net(parts, latent)
    return parameters


@dataclass(frozen=True, kw_only=True)
class ActorForm(ObservingForm):
    """What an actor's networks are, apart from their parameters."""

    policy: Literal["joint", "equivariant"]
    """joint observes all parts at once; equivariant treats parts alike"""
    n_parts: int = setting(ge=0, le=1e6)
    """interchangeable parts of an observation, for one that treats them alike"""
    n_shared: int = setting(ge=0, le=1e6)
    """features that belong to no part, likewise"""
    memory: Literal["lstm", "gru"] = "lstm"
    """what remembers; beside a GRU numbers are squashed to their bounds, beside an LSTM they are held within them"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.memory == "gru" and (self.history > 1 or self.policy == "equivariant"):
            raise SettingError("memory", "lstm with history > 1 or parts that are treated alike", self.memory)
        if self.policy == "equivariant":
            self._check_parts()

    def _check_parts(self) -> None:
        n_of_parts = self.n_observed - self.n_shared - self.n_terms
        if self.n_parts < 1 or n_of_parts < self.n_parts or n_of_parts % self.n_parts:
            raise SettingError("n_parts", f"a divisor of {n_of_parts} features", self.n_parts)
        try:
            choices(self.action.space, self.n_parts)
        except ValueError:
            raise SettingError(
                "n_parts", "a number of parts that the choices of the action belong to", self.n_parts
            ) from None


class RecurrentActor(nn.Module):
    """Observations to actions; it shares its networks with whoever trains them.

    Parameters
    ----------
    form
        What its networks are.
    encoder, recurrent, latent, action_net
        From observation to features, through the memory, to the output of the layer above, to the parameters of actions.
    normaliser
        Of observations, if they are normalised.
    """

    def __init__(
        self,
        form: ActorForm,
        encoder: ContextGate | PartEncoder,
        recurrent: nn.LSTM | nn.GRU,
        latent: nn.Module,
        action_net: nn.Module,
        normaliser: Normaliser | None,
    ) -> None:
        super().__init__()
        self.form, self.head = form, head_of(form.action.space)
        self.encoder, self.latent, self.action_net = encoder, latent, action_net
        self.add_module(form.memory, recurrent)
        self.normaliser = normaliser

    @property
    def recurrent(self) -> nn.LSTM | nn.GRU:
        """What remembers."""
        found: nn.LSTM | nn.GRU = getattr(self, self.form.memory)
        return found

    def preprocessor(self, n_envs: int) -> Preprocessor:
        """What makes the actor's observations from those of a world."""
        return Preprocessor(self.form.preprocessing, n_envs, self.form.n_observed, self.normaliser)

    def initial_memory(self, n_envs: int) -> Memory:
        """The memory before the first step."""
        return (th.zeros(n_envs, self.form.hidden_size),) * (1 if self.form.memory == "gru" else 2)

    def step(self, observations: th.Tensor, memory: Memory, keep: th.Tensor) -> tuple[th.Tensor, Memory]:
        """One step of every env.

        Parameters
        ----------
        observations
            ``(n_envs, history * n_observed)``, preprocessed.
        memory
            Of the last step.
        keep
            ``(n_envs, 1)``, 0 where an episode begins.

        Returns
        -------
        Parameters of the action distribution ``(n_envs, n_parameters)``, and the next memory.
        """
        features, parts = self.encoder.encode(observations)
        recurrent = self.recurrent
        if isinstance(recurrent, nn.GRU):
            memory = gru_cell(recurrent, features, memory, keep)
        else:
            memory = cell(recurrent, features, memory, keep)
        return action_parameters(self.action_net, self.latent(memory[0]), parts), memory

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> RecurrentActor:
        """The actor for a world with these spaces; one that treats parts alike takes any number of them.

        Raises
        ------
        ValueError
            It was trained for other observations or actions.
        """
        assert observation_space.shape is not None
        n_observed = observation_space.shape[0]
        if isinstance(self.encoder, PartEncoder):
            form = self._refitted(n_observed, action_space)
            return RecurrentActor(form, self.encoder, self.recurrent, self.latent, self.action_net, self.normaliser)
        wanted, trained = (n_observed, form_of(action_space)), (self.form.n_observed, self.form.action)
        if wanted != trained:
            raise ValueError(f"observations and actions must be {trained}, got {wanted}")
        return self

    def _refitted(self, n_observed: int, action_space: spaces.Space[Any]) -> ActorForm:
        """The form for another number of parts."""
        encoder, form = self.encoder, self.form
        assert isinstance(encoder, PartEncoder)
        n_parts, rest = divmod(n_observed - encoder.n_shared - encoder.n_terms, encoder.n_features)
        if rest or n_parts < 1:
            wanted = f"parts of {encoder.n_features} features, {encoder.n_shared} shared ones and {encoder.n_terms} weights"
            raise ValueError(f"observation_space must be {wanted}, got shape ({n_observed},)")
        known, found = choices(form.action.space, form.n_parts), choices(action_space, n_parts)
        if found != known:
            wanted = f"{known[0]} choices of {known[1]} levels per part"
            raise ValueError(f"action_space must be {wanted}, got {found[0]} of {found[1]}")
        return replace(form, n_observed=n_observed, n_parts=n_parts, action=form_of(action_space))


def build(form: ActorForm) -> RecurrentActor:
    """An actor whose parameters are still to be filled in."""
    hidden, n_seen = form.hidden_size, form.n_observed * form.history
    seen = spaces.Box(-np.inf, np.inf, (n_seen,), np.float32)
    encoder: ContextGate | PartEncoder
    action_net: nn.Module
    if form.policy == "equivariant":
        encoder = PartEncoder(seen, form.n_terms, hidden, form.n_parts, form.n_shared)
        action_net = PartHead(encoder.width, hidden, form.action.n_parameters // form.n_parts)
    else:
        encoder = ContextGate(seen, form.n_terms, hidden)
        action_net = action_net_of(form)
    latent = nn.Sequential(nn.Linear(hidden, hidden), nn.Tanh())
    normaliser = Normaliser(form.n_observed, form.n_terms) if form.normalise else None
    recurrent = (nn.GRU if form.memory == "gru" else nn.LSTM)(encoder.features_dim, hidden)
    return RecurrentActor(form, encoder, recurrent, latent, action_net, normaliser)


def action_net_of(form: ActorForm) -> nn.Module:
    """What makes parameters of actions of the layer before, where there is one network for all parts."""
    action = form.action
    if form.memory == "gru" and action.kind == "box":
        return Squashed(form.hidden_size, th.tensor(action.low, device="cpu"), th.tensor(action.high, device="cpu"))
    return nn.Linear(form.hidden_size, action.n_parameters)
