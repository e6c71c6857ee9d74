"""A team's batch of one as a PettingZoo env."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

from envs.core.arrays import Array, FloatArray32
from envs.core.team import TeamEnv

Infos = dict[str, dict[str, Any]]


class TeamParallelEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo brings no types
    """A team's batch of one as a `pettingzoo.ParallelEnv`. All agents begin and end together.

    Parameters
    ----------
    team
        A batch of one env.

    Raises
    ------
    ValueError
        The batch has more than one env.
    """

    metadata: dict[str, Any] = {"name": "metabalance_team_v0", "render_modes": []}  # noqa: RUF012  # PettingZoo's own

    def __init__(self, team: TeamEnv) -> None:
        if team.n_envs != 1:
            raise ValueError(f"n_envs must be 1 for a PettingZoo env, got {team.n_envs}")
        self.team, self.render_mode = team, None
        self.possible_agents = list(team.spec.agents)
        self.agents: list[str] = []
        self.state_space: spaces.Box = team.spec.state_space
        self._observation_spaces = {agent: copy.deepcopy(team.spec.observation_space) for agent in self.possible_agents}
        self._action_spaces = {agent: copy.deepcopy(team.spec.action_space) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> spaces.Box:
        """What an agent observes; the same object each time."""
        return self._observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """What an agent does; the same object each time."""
        return self._action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, FloatArray32], Infos]:
        """Begin an episode; a seed begins all streams anew. There are no options."""
        self.agents = list(self.possible_agents)
        observation = self.team.reset(seed)
        return self._by_agent(observation[0]), self._infos()

    def step(
        self, actions: Mapping[str, Array | int]
    ) -> tuple[dict[str, FloatArray32], dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """One step under an action of every agent; after the last one there are no agents.

        Raises
        ------
        ValueError
            The episode is over, or an agent has no action, or one that is none of its space.
        """
        if not self.agents:
            raise ValueError("actions must be given before the episode is over, got some after it: reset first")
        if set(actions) != set(self.agents):
            raise ValueError(f"actions must be given for {', '.join(self.agents)}, got {', '.join(actions) or 'none'}")
        step = self.team.step(np.stack([np.asarray(actions[agent]) for agent in self.agents])[None])
        terminated, truncated = bool(step.terminated[0]), bool(step.truncated[0])
        rewards = {agent: float(reward) for agent, reward in zip(self.agents, step.reward[0], strict=True)}
        ends = (dict.fromkeys(self.agents, terminated), dict.fromkeys(self.agents, truncated))
        observations, infos = self._by_agent(step.observation[0]), self._infos()
        if terminated or truncated:
            self.agents = []
        return observations, rewards, *ends, infos

    def state(self) -> FloatArray32:
        """The state of the whole world ``(n_state,)``."""
        state: FloatArray32 = self.team.state()[0]
        return state

    def render(self) -> None:
        """There are no pictures."""

    def close(self) -> None:
        """There is nothing to close."""

    def _by_agent(self, observation: FloatArray32) -> dict[str, FloatArray32]:
        return {agent: row.copy() for agent, row in zip(self.agents, observation, strict=True)}

    def _infos(self) -> Infos:
        return {agent: {} for agent in self.agents}
