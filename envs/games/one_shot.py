"""Games whose agents act at once and without knowing anything; played again and again they are the same each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.rng import Role
from envs.core.team import TeamSpec
from envs.games.game import GameDynamics, Policy, Solution, always

NOTHING = spaces.Box(1.0, 1.0, (1,), np.float32)
"""What is observed where there is nothing to observe: a 1."""


class OneShotGame:
    """A base of configs: what these games have in common. A game fills in :attr:`spec` and :meth:`payoff`."""

    @property
    def spec(self) -> TeamSpec:
        """Who plays, and what is observed and done."""
        raise NotImplementedError

    def payoff(self, action: Array) -> FloatArray:
        """Rewards ``(n, n_agents)`` of joint actions ``(n, n_agents, ...)``."""
        raise NotImplementedError

    def dynamics(self, env_ids: Sequence[int], seed: int, role: Role) -> GameDynamics:
        """How a batch moves: not at all."""
        return OneShot(self, env_ids, seed, role)

    def joint_action(self, policy: Policy) -> Array:
        """What a policy plays, ``(n_agents, ...)``."""
        action: Array = np.asarray(policy(np.ones((1, self.spec.n_agents, 1), np.float32)))[0]
        return action

    def solution(self, action: Array) -> Solution:
        """A joint action ``(n_agents, ...)`` with its worth."""
        return Solution(always(action), float(self.payoff(action[None]).sum()))


class OneShot(GameDynamics):
    """Pays what the joint action is worth.

    Parameters
    ----------
    game
        Settings.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`; nothing is drawn.
    """

    def __init__(self, game: OneShotGame, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(game.spec, env_ids, seed, role)
        self._payoff = game.payoff

    @property
    def observation(self) -> FloatArray32:
        return np.ones((self.n_envs, self.spec.n_agents, 1), np.float32)

    @property
    def world_state(self) -> FloatArray32:
        return np.ones((self.n_envs, 1), np.float32)

    def play(self, action: Array, running: BoolArray) -> FloatArray:
        return self._payoff(action)
