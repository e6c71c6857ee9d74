"""What a game is: a frozen config that knows who plays, how the world moves, and what its answer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.dynamics import Dynamics, Transition
from envs.core.rng import Role
from envs.core.team import TeamSpec, checked_actions
from envs.core.terms import Function

Policy = Callable[[FloatArray32], Array]
"""A joint policy: observations ``(n, n_agents, n_features)`` to actions ``(n, n_agents, ...)``, row by row."""


class Solution(NamedTuple):
    """A joint policy that is known to be an answer of a game, and what it is worth."""

    policy: Policy
    team_reward: float  # expected, a step


class Game(Protocol):
    """A frozen config, which is its own entry in `envs.games.GAMES`."""

    @property
    def game(self) -> str:
        """Name of the game."""

    @property
    def episode_steps(self) -> int:
        """Steps after which an episode is over."""

    @property
    def spec(self) -> TeamSpec:
        """Who plays, and what is observed and done."""

    def dynamics(self, env_ids: Sequence[int], seed: int, role: Role) -> GameDynamics:
        """How a batch moves; for the parameters see :class:`envs.core.dynamics.Dynamics`."""

    def optimum(self) -> Solution:
        """What is best for the team."""

    def nash(self) -> tuple[Solution, ...]:
        """Equilibria of agents that each maximise their own reward, as far as they are known; the team's best first."""

    def nash_gap(self, policy: Policy) -> float:
        """The largest expected gain a step, in own reward, of any agent that alone deviates from a joint policy as well as
        it can; 0 at a Nash equilibrium.
        """


class GameDynamics(Dynamics):
    """How a batch of a game moves. A game fills in :attr:`observation`, :meth:`play`, and :meth:`begin` if it has a state.

    Parameters
    ----------
    spec
        Who plays.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`.

    Attributes
    ----------
    reward
        What each agent got in the last step ``(n_envs, n_agents)``; 0 after a reset.
    """

    def __init__(self, spec: TeamSpec, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.spec, self._joint_space = spec, batch_space(spec.action_space, spec.n_agents)
        self.reward = np.zeros((self.n_envs, spec.n_agents))

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of all agents of one env together."""
        return self._joint_space

    @property
    def observation(self) -> FloatArray32:
        """What each agent observes now ``(n_envs, n_agents, n_features)``, a fresh array."""
        raise NotImplementedError

    @property
    def world_state(self) -> FloatArray32:
        """The state of the whole world ``(n_envs, n_state)``, a fresh array: what all agents observe, one after another."""
        return self.observation.reshape(self.n_envs, -1)

    @property
    def figures(self) -> Mapping[str, Function]:
        """Functions of these dynamics to ``(n_envs,)`` whose means over an episode tell how it went."""
        return {"team_reward": team_reward}

    def begin(self, mask: BoolArray) -> None:
        """Episodes begin in ``mask (n_envs,)``."""

    def play(self, action: Array, running: BoolArray) -> FloatArray:
        """One step of the envs in ``running (n_envs,)`` under ``action (n_envs, n_agents, ...)``; the state of the others
        must not change.

        Returns
        -------
        FloatArray
            Rewards ``(n_envs, n_agents)``.
        """
        raise NotImplementedError

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        self.reward[mask] = 0.0
        self.begin(mask)
        return Transition()

    def step_dynamics(self, action: Array, running: BoolArray) -> Transition:
        reward = self.play(checked_actions(self.spec, action, self.n_envs), running)
        self.reward = np.where(running[:, None], reward, self.reward)
        return Transition()


def team_reward(dynamics: GameDynamics) -> FloatArray:
    """What all agents got together in the last step, ``(n_envs,)``."""
    total: FloatArray = dynamics.reward.sum(-1)
    return total


def always(action: Array) -> Policy:
    """The policy that plays one joint action ``(n_agents, ...)``, whatever it observes."""
    return lambda observation: np.broadcast_to(action, (len(observation), *np.shape(action)))


def names(kind: str, n: int) -> tuple[str, ...]:
    """Names of ``n`` agents of a kind."""
    return tuple(f"{kind}_{number}" for number in range(n))
