"""The agents of a batch as a team."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.state import Tree
from envs.core.team import TeamSpec, TeamStep


class BatchTeam:
    """A `TeamEnv` (:mod:`envs.core.team`) over a batch with several agents in each env.

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
        self._observation = self._by_agent(batch.observe())

    def _by_agent(self, of_rows: Array) -> Array:
        return of_rows.reshape(self.n_envs, self.spec.n_agents, *of_rows.shape[1:])

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        """Begin an episode in all envs, or where ``mask (n_envs,)`` is set: ``(n_envs, n_agents, n_features)``."""
        rows = None if mask is None else self.batch.of_rows(mask)
        self._observation = self._by_agent(self.batch.reset(seed, rows))
        return self._observation.copy()

    def step(self, action: Array) -> TeamStep:
        """One step under ``action (n_envs, n_agents, ...)``.

        Raises
        ------
        ValueError
            Actions have another shape.
        """
        wanted = (self.n_envs, self.spec.n_agents, *(self.spec.action_space.shape or ()))
        if action.shape != wanted:
            raise ValueError(f"action must have shape {wanted}, got {action.shape}")
        observation, reward, terminated, truncated, _ = self.batch.step(action.reshape(-1, *action.shape[2:]))
        self._observation = self._by_agent(observation)
        n = self.spec.n_agents
        return TeamStep(self._observation.copy(), self._by_agent(reward), terminated[::n].copy(), truncated[::n].copy())

    def state(self) -> FloatArray32:
        """What all agents observe ``(n_envs, n_agents * n_features)``."""
        return self._observation.reshape(self.n_envs, -1).copy()

    def get_state(self) -> Tree:
        """All that moves, as copies."""
        return self.batch.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state`."""
        self.batch.set_state(state)
        self._observation = self._by_agent(self.batch.observe())
