"""Networks of a team: from windows of observations to outputs, one set of parameters for all agents or one for each."""

from __future__ import annotations

import math

import torch as th
from torch import nn
from torchrl.modules import MLP, MultiAgentMLP

from hierarchy.team.forms import TeamForm

CLIP = 10.0
"""To which standardised features are clipped."""


class Standard(nn.Module):
    """Features less their mean, by their standard deviation; clipped. As they are until both are measured."""

    mean: th.Tensor
    std: th.Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", th.zeros(n_features))
        self.register_buffer("std", th.ones(n_features))

    def forward(self, features: th.Tensor) -> th.Tensor:
        """Features ``(..., n_features)``."""
        return ((features - self.mean) / self.std).clamp(-CLIP, CLIP)

    def windows(self, window: th.Tensor) -> th.Tensor:
        """The same of windows ``(..., n_features + 1)``: zeros stay where a step was not there."""
        there = window[..., -1:]
        return th.cat([self(window[..., :-1]) * there, there], dim=-1)


class AgentGRU(nn.Module):
    """A GRU (Cho et al., EMNLP 2014) over windows, run from zeros; steps that were not there leave it as it is.

    TorchRL's `GRUModule` has no axis of agents: with agents folded into the batch all have the same parameters. Here these
    are stacked ``(n_sets, ...)``, and a product over all agents takes them.
    """

    into: nn.Parameter
    back: nn.Parameter
    bias_into: nn.Parameter
    bias_back: nn.Parameter

    def __init__(self, n_inputs: int, hidden_size: int, n_sets: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(hidden_size)
        shapes = {
            "into": (n_sets, n_inputs, 3 * hidden_size),
            "back": (n_sets, hidden_size, 3 * hidden_size),
            "bias_into": (n_sets, 1, 3 * hidden_size),
            "bias_back": (n_sets, 1, 3 * hidden_size),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(th.empty(shape).uniform_(-bound, bound)))
        self._hidden_size = hidden_size

    def forward(self, window: th.Tensor) -> th.Tensor:
        """What is remembered ``(..., n_agents, hidden_size)`` of windows ``(..., n_agents, n_window, n_features + 1)``."""
        features, there = window[..., :-1], window[..., -1:]
        gates_into = features @ self.into + self.bias_into
        hidden = window.new_zeros(*window.shape[:-2], 1, self._hidden_size)
        for step in range(window.shape[-2]):
            at = slice(step, step + 1)
            reset_in, update_in, proposed_in = gates_into[..., at, :].chunk(3, dim=-1)
            reset_back, update_back, proposed_back = (hidden @ self.back + self.bias_back).chunk(3, dim=-1)
            update = (update_in + update_back).sigmoid()
            proposed = (proposed_in + (reset_in + reset_back).sigmoid() * proposed_back).tanh()
            moved = update * hidden + (1.0 - update) * proposed
            hidden = th.where(there[..., at, :] > 0, moved, hidden)
        return hidden.squeeze(-2)


def told_apart(features: th.Tensor) -> th.Tensor:
    """Features ``(..., n_agents, n)`` with the agent's number, one-hot, which a network of all agents is given."""
    n_agents = features.shape[-2]
    who = th.eye(n_agents, dtype=features.dtype).expand(*features.shape[:-1], n_agents)
    return th.cat([features, who], dim=-1)


class AgentNetwork(nn.Module):
    """Outputs of every agent, by what it has observed and maybe something else.

    Parameters
    ----------
    n_outputs
        Of one agent.
    n_more
        Other inputs of one agent.
    """

    def __init__(self, form: TeamForm, n_outputs: int, n_more: int = 0) -> None:
        super().__init__()
        self._shares = form.shares_parameters
        remembers = form.memory == "gru"
        n_sets = 1 if self._shares else form.n_agents
        self._gru = AgentGRU(form.n_features, form.hidden_size, n_sets) if remembers else None
        n_inputs = (form.hidden_size if remembers else form.n_features) + n_more
        self._mlp = agents_mlp(form, n_inputs, n_outputs)

    def forward(self, window: th.Tensor, *more: th.Tensor) -> th.Tensor:
        """``(..., n_agents, n_outputs)`` of windows ``(..., n_agents, n_window, n_features + 1)``, see :class:`AgentGRU`."""
        features = window[..., -1, :-1] if self._gru is None else self._gru(window)
        features = th.cat([features, *more], dim=-1)
        outputs: th.Tensor = self._mlp(told_apart(features) if self._shares else features)
        return outputs


def agents_mlp(form: TeamForm, n_inputs: int, n_outputs: int) -> MultiAgentMLP:
    """Two hidden layers, for inputs to which :func:`told_apart` is added where parameters are shared."""
    return MultiAgentMLP(
        n_agent_inputs=n_inputs + (form.n_agents if form.shares_parameters else 0),
        n_agent_outputs=n_outputs,
        n_agents=form.n_agents,
        centralized=False,
        share_params=form.shares_parameters,
        depth=2,
        num_cells=form.hidden_size,
        activation_class=nn.SiLU,
    )


class KnowingValues(nn.Module):
    """Values ``(..., n_agents, 1)`` of what each agent is told of the whole. A subclass says what that is.

    `MultiAgentMLP` can take all inputs to every agent itself, but with shared parameters it then gives all the same value.
    """

    def __init__(self, form: TeamForm, n_known: int) -> None:
        super().__init__()
        self._shares = form.shares_parameters
        self._mlp = agents_mlp(form, n_known, 1)

    def of(self, known: th.Tensor) -> th.Tensor:
        """Of what is known ``(..., n_agents, n_known)``."""
        values: th.Tensor = self._mlp(told_apart(known) if self._shares else known)
        return values


class JointNetwork(nn.Module):
    """A value ``(..., n_joint)`` of every joint action, by what all agents observe."""

    def __init__(self, form: TeamForm) -> None:
        super().__init__()
        n_inputs, n_joint = form.n_agents * form.n_features, form.action.n_joint(form.n_agents)
        self._mlp = MLP(n_inputs, n_joint, depth=2, num_cells=form.hidden_size, activation_class=nn.ReLU)

    def forward(self, window: th.Tensor) -> th.Tensor:
        """Of windows ``(..., n_agents, 1, n_features + 1)``."""
        values: th.Tensor = self._mlp(window[..., -1, :-1].flatten(-2))
        return values
