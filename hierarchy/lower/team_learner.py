"""A team's learner over the rows of a batch: those of an env are its agents, one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.state import Tree
from envs.core.team import TeamStep, checked_actions
from envs.core.team_batch import BatchTeam
from envs.core.validation import SettingError
from hierarchy.lower.figures import Figures, figures_of
from hierarchy.lower.team import TeamLowerConfig
from hierarchy.lower.team_acting import RowsActor
from hierarchy.protocols import Observer, SavedAgent
from hierarchy.team.acting import TeamActor
from hierarchy.team.protocols import TeamLearner
from hierarchy.vec_env import BatchVecEnv

TEAM_ALGORITHM = "team_algorithm"
"""Says in the description of a saved agent which algorithm it learned by as a team."""


class VecTeam(BatchTeam):
    """The agents of a vec env as a team: a step goes on until actions are listened to again, and rewards are what agents
    learn from, above a twin's where there is one.
    """

    def __init__(self, env: BatchVecEnv, figures: Figures) -> None:
        super().__init__(env.batch)
        self._env, self._figures = env, figures

    def reset(self, seed: int | None = None, mask: BoolArray | None = None) -> FloatArray32:
        return self._by_agent(self._env.begin(seed, None if mask is None else self.batch.of_rows(mask)))

    def step(self, action: Array) -> TeamStep:
        checked = checked_actions(self.spec, np.asarray(action), self.n_envs)
        observation, reward, terminated, truncated = self._env.advance(checked.reshape(-1, *checked.shape[2:]))
        self._figures.take_in(self._env)
        n = self.spec.n_agents
        return TeamStep(self._by_agent(observation), self._by_agent(reward), terminated[::n].copy(), truncated[::n].copy())

    def get_state(self) -> Tree:
        return {"env": self._env.get_state(), "figures": self._figures.get_state()}

    def set_state(self, state: Tree) -> None:
        self._env.set_state(state["env"])
        self._figures.set_state(state["figures"])


class Telling(Observer):
    """Tells observers steps of rows, and beside the figures of a team's learner those of its env."""

    def __init__(self, observers: Sequence[Observer], n_agents: int, figures: Figures) -> None:
        self._observers, self._n, self._figures = observers, n_agents, figures

    def on_rollout(self, n_steps: int) -> None:
        for observer in self._observers:
            observer.on_rollout(n_steps * self._n)

    def on_step(self, n_steps: int) -> None:
        for observer in self._observers:
            observer.on_step(n_steps * self._n)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        of_env = self._figures.taken()
        for observer in self._observers:
            observer.on_metrics({**of_env, **values}, n_steps * self._n)


class RowsLearner:
    """A team in training; steps are those of all agents together."""

    def __init__(self, learner: TeamLearner, config: TeamLowerConfig, n_agents: int, figures: Figures) -> None:
        self._learner, self._config, self._n, self._figures = learner, config, n_agents, figures

    @property
    def n_steps(self) -> int:
        """Trained so far, over all envs and agents."""
        return self._learner.n_steps * self._n

    @property
    def actor(self) -> RowsActor:
        """What acts as the team has learned to by now."""
        team = self._learner.actor
        assert isinstance(team, TeamActor)
        return RowsActor(team)

    def begin_from(self, saved: SavedAgent) -> None:
        """Take over what a team of the same kind has learned, before training.

        Raises
        ------
        SettingError
            It is of another kind.
        """
        ours = self._config.team.algorithm
        theirs = saved.description.get(TEAM_ALGORITHM, ours)
        if theirs != ours:
            raise SettingError("team.algorithm", f"{theirs}, that of {saved.name}", ours)
        self._learner.begin_from(_called(saved, self._config.algorithm, self._config.team.algorithm))

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more, over all envs and agents, or until the rollout that they end in is over."""
        self._learner.learn(-(-n_steps // self._n), Telling(observers, self._n, self._figures))

    def get_state(self) -> Tree:
        """All that moves, before a rollout begins."""
        return self._learner.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._learner.set_state(state)

    def saved(self, name: str) -> SavedAgent:
        """The team as it is now, and what it learned by."""
        ours = self._config.team.algorithm
        saved = _called(self._learner.saved(name), ours, self._config.algorithm)
        return saved._replace(description={**saved.description, TEAM_ALGORITHM: ours})


def _called(saved: SavedAgent, algorithm: str, other: str) -> SavedAgent:
    """A saved agent under another name of its algorithm; what acts is the same whichever team it learned in."""
    description = dict(saved.description)
    if description.get("algorithm") == algorithm:
        description["algorithm"] = other
    return saved._replace(description=description)


def build(config: TeamLowerConfig, env: BatchVecEnv, seed: int, contextual: bool) -> RowsLearner:
    """See :meth:`hierarchy.lower.team.TeamLowerConfig.build`."""
    figures, n_agents = figures_of(contextual), env.batch.n_agents
    team = VecTeam(env, figures)
    algorithm = replace(config.team, timesteps=-(-config.timesteps // n_agents))
    algorithm.check_team(team.spec)
    warm_up = getattr(algorithm, "warm_up", 0)
    if algorithm.timesteps <= warm_up:
        allowed = f"> {warm_up * n_agents}, the {n_agents} agents of an env times team.warm_up"
        raise SettingError("lower.timesteps", allowed, config.timesteps)
    return RowsLearner(algorithm.build(team, seed), config, n_agents, figures)
