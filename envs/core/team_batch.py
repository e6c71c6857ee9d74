"""The agents of a batch as a team."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.state import Tree
from envs.core.team import TeamEnv, TeamSpec, TeamStep, checked_actions


class BatchTeam(TeamEnv):
    """A batch with several agents in each env; see :class:`envs.core.team.TeamEnv`.

    The state of the world is what all agents observe, one after another.

    Parameters
    ----------
    batch
        The envs.
    name
        Of an agent; its number follows.

    Raises
    ------
    ValueError
        Their actions are of no kind that a team may have.
    """

    def __init__(self, batch: BatchEnv, name: str = "balancer") -> None:
        self.batch, self.n_envs = batch, batch.n_envs
        n, observed, acted = batch.n_agents, batch.observation_space, batch.action_space
        if not isinstance(acted, (spaces.Discrete, spaces.MultiDiscrete, spaces.Box)):
            raise ValueError(f"actions must be Discrete, MultiDiscrete or a Box, got {type(acted).__name__}")
        low, high = np.tile(observed.low, n), np.tile(observed.high, n)
        agents = tuple(f"{name}_{agent}" for agent in range(n))
        self.spec = TeamSpec(agents, observed, acted, spaces.Box(low, high, dtype=np.float32))

    def _by_agent(self, of_rows: Array) -> Array:
        return of_rows.reshape(self.n_envs, self.spec.n_agents, *of_rows.shape[1:])

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        rows = None if mask is None else self.batch.of_rows(mask)
        return self._by_agent(self.batch.reset(seed, rows))

    def step(self, action: Array) -> TeamStep:
        checked = checked_actions(self.spec, np.asarray(action), self.n_envs)
        observation, reward, terminated, truncated, _ = self.batch.step(checked.reshape(-1, *checked.shape[2:]))
        n = self.spec.n_agents
        return TeamStep(self._by_agent(observation), self._by_agent(reward), terminated[::n].copy(), truncated[::n].copy())

    def observe(self) -> FloatArray32:
        return self._by_agent(self.batch.observe())

    def state(self) -> FloatArray32:
        return self.batch.observe().reshape(self.n_envs, -1)

    def get_state(self) -> Tree:
        return self.batch.get_state()

    def set_state(self, state: Tree) -> None:
        self.batch.set_state(state)
