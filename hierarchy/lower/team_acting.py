"""What a team has learned, in the rows of a batch: those of an env are its agents, one after another."""

from __future__ import annotations

from typing import Any

import torch as th
from gymnasium import spaces
from torch import nn

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.state import Tree
from hierarchy.nets.models import N_ENVS
from hierarchy.protocols import SavedAgent
from hierarchy.team.acting import TeamActing, TeamActor, TeamModel
from hierarchy.team.acting import actor_of as team_of
from hierarchy.team.forms import TeamForm, action_form


class InRows:
    """A team in the middle of the episodes of a batch, row by row."""

    def __init__(self, acting: TeamActing, n_agents: int) -> None:
        self._acting, self._n = acting, n_agents

    def reset(self, mask: BoolArray | None = None) -> None:
        """Forget what came before in all envs, or where ``mask (n_rows,)`` is set for all agents of one."""
        self._acting.reset(None if mask is None else mask[:: self._n])

    def act(self, observation: FloatArray32) -> Array:
        """Actions ``(n_rows, ...)`` for observations ``(n_rows, n_features)``."""
        action = self._acting.act(observation.reshape(-1, self._n, observation.shape[-1]))
        return action.reshape(-1, *action.shape[2:])

    def get_state(self) -> Tree:
        """The team's."""
        return self._acting.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._acting.set_state(state)


class RowsModel(nn.Module):
    """A team as a function of tensors, see :mod:`hierarchy.nets.models`; what is remembered are the steps before."""

    def __init__(self, model: TeamModel, form: TeamForm) -> None:
        super().__init__()
        self._model, self._form = model, form

    def forward(self, observation: th.Tensor, keep: th.Tensor, steps: th.Tensor | None = None) -> tuple[th.Tensor, ...]:
        """One step of rows: actions, and the steps to remember if any are."""
        now = th.cat([observation, th.ones_like(keep)], dim=1)[:, None]
        window = (
            now
            if steps is None
            else th.cat([(steps * keep).reshape(-1, self._form.window_steps - 1, now.shape[-1]), now], dim=1)
        )
        of_envs = window.reshape(-1, self._form.n_agents, *window.shape[1:])
        action = self._model(of_envs).flatten(0, 1)
        return (action,) if steps is None else (action, window[:, 1:].flatten(1))

    @property
    def examples(self) -> dict[str, th.Tensor]:
        """Inputs by name, at the beginning of episodes."""
        form, n_rows = self._form, N_ENVS * self._form.n_agents
        inputs = {"observation": th.zeros(n_rows, form.n_features), "keep": th.zeros(n_rows, 1)}
        n_before = (form.window_steps - 1) * (form.n_features + 1)
        return inputs | ({"steps": th.zeros(n_rows, n_before)} if n_before else {})

    @property
    def outputs(self) -> list[str]:
        """Names of what comes out."""
        return ["action", *(f"next_{name}" for name in list(self.examples)[2:])]


class RowsActor:
    """What a team has learned, as an actor of rows."""

    def __init__(self, team: TeamActor) -> None:
        self._team = team

    def start(self, n_envs: int) -> InRows:
        """Begin episodes in so many rows, those of whole envs.

        Raises
        ------
        ValueError
            They are the agents of no number of envs.
        """
        n_agents = self._team.module.form.n_agents
        if n_envs % n_agents:
            raise ValueError(f"a team of {n_agents} agents must have whole envs, got {n_envs} rows")
        return InRows(self._team.start(n_envs // n_agents), n_agents)

    @property
    def model(self) -> RowsModel:
        """What it does, as a function of tensors."""
        return RowsModel(self._team.model, self._team.module.form)

    def saved(self, name: str, algorithm: str) -> SavedAgent:
        """What acts, to be kept by that name."""
        return self._team.saved(name, algorithm)

    def fitted(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any], n_agents: int = 1) -> RowsActor:
        """The same, if there are as many agents, which observe and act in such spaces.

        Raises
        ------
        ValueError
            They don't.
        """
        form = self._team.module.form
        wanted = n_agents, observation_space.shape, action_form(action_space)
        trained = form.n_agents, (form.n_features,), form.action
        if wanted != trained:
            raise ValueError(f"agents, observations and actions must be {trained}, got {wanted}")
        return self


def actor_of(saved: SavedAgent, algorithm: str) -> RowsActor:
    """See :meth:`hierarchy.lower.team.TeamLowerConfig.actor`."""
    return RowsActor(team_of(saved, algorithm))
