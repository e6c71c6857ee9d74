"""A batch of one game as a team's env."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.rng import Role
from envs.core.simulation import Simulation
from envs.core.state import Tree
from envs.core.statistics import MeanStatistics
from envs.core.team import TeamEnv, TeamStep
from envs.core.world import World
from envs.games.game import Game, GameDynamics, team_reward


class WorldState:
    """Observes the state of the whole world."""

    carries_action_set = False

    def __init__(self, space: spaces.Box) -> None:
        self.space = space

    def before_reset(self, measurements: GameDynamics, mask: BoolArray) -> None: ...

    def extract(self, measurements: GameDynamics, moved: BoolArray) -> FloatArray32:
        """``(n_envs, n_state)``."""
        return measurements.world_state


def compose(dynamics: GameDynamics) -> World:
    """A game as a world of one agent that acts for all: it observes the state and loses what the team does not get."""
    return World(
        dynamics=dynamics,
        observation_function=WorldState(dynamics.spec.state_space),
        reward_terms={"loss": lambda measured: -team_reward(measured)},
        statistics=MeanStatistics(dynamics.n_envs, dynamics.figures),
        objective=lambda statistics: statistics["team_reward"],
    )


class GameBatch(TeamEnv):
    """A batch of one game; see :class:`envs.core.team.TeamEnv`.

    An episode is over after the game's `episode_steps`. That end is part of the game, nothing would come after it: it
    terminates, and is never truncated.

    Parameters
    ----------
    game
        Settings.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`.
    """

    def __init__(self, game: Game, env_ids: Sequence[int], seed: int, role: Role) -> None:
        self.game, self.n_envs = game, len(env_ids)
        self.dynamics = game.dynamics(env_ids, seed, role)
        self.simulation = Simulation(compose(self.dynamics), game.episode_steps)
        self.spec = self.dynamics.spec

    def observe(self) -> FloatArray32:
        """Observations now ``(n_envs, n_agents, n_features)``, a fresh array."""
        return self.dynamics.observation

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        self.simulation.reset(seed, mask)
        return self.observe()

    def step(self, action: Array) -> TeamStep:
        running = ~self.simulation.ended
        self.simulation.advance(np.asarray(action))
        reward = np.where(running[:, None], self.dynamics.reward, 0.0)
        return TeamStep(self.observe(), reward, self.simulation.ended, np.zeros(self.n_envs, np.bool_))

    def state(self) -> FloatArray32:
        return self.dynamics.world_state

    def statistics(self) -> dict[str, FloatArray]:
        """Means a step since the reset, ``(n_envs,)`` by name: `team_reward`, and what else a game measures."""
        return self.simulation.statistics()

    def get_state(self) -> Tree:
        return self.simulation.get_state()

    def set_state(self, state: Tree) -> None:
        self.simulation.set_state(state)
