"""A team's way through its envs while it learns: episodes begin anew where they ended, and windows are kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree
from envs.core.team import TeamEnv
from hierarchy.team.forms import TeamForm
from hierarchy.team.windows import moved_on


class Transition(NamedTuple):
    """A step of all envs ``(n_envs, ...)``, or some steps of some."""

    window: FloatArray32  # (n_envs, n_agents, n_window, n_features + 1)
    state: FloatArray32  # (n_envs, n_state)
    action: Array  # (n_envs, n_agents, n_branches), see ActionForm
    reward: FloatArray32  # (n_envs, n_agents) of each
    next_window: FloatArray32
    next_state: FloatArray32
    terminated: BoolArray  # (n_envs,)
    done: BoolArray  # (n_envs,) terminated or truncated


class Stepper:
    """Steps an env, which begins anew where an episode has ended.

    Attributes
    ----------
    window, state
        What is observed now; arrays are replaced, never written to.
    """

    def __init__(self, env: TeamEnv, form: TeamForm, seed: int) -> None:
        self._env, self._form = env, form
        nothing = np.zeros((env.n_envs, *form.window_shape), np.float32)
        self.window = moved_on(nothing, env.reset(seed), np.ones(env.n_envs, np.bool_))
        self.state = env.state()

    @property
    def n_envs(self) -> int:
        """Envs side by side."""
        return self._env.n_envs

    def step(self, action: Array) -> Transition:
        """One step under actions ``(n_envs, n_agents, n_branches)``; what is next is of the episode that the step was in."""
        led_to = self._env.step(self._form.action.for_env(action))
        window, state, done = self.window, self.state, led_to.terminated | led_to.truncated
        following = moved_on(window, led_to.observation, np.zeros_like(done))
        next_state = self._env.state()
        self.window, self.state = following, next_state
        if done.any():
            begun = moved_on(window, self._env.reset(mask=done), done)
            self.window = np.where(done[:, None, None, None], begun, following)
            self.state = self._env.state()
        reward = led_to.reward.astype(np.float32)
        return Transition(window, state, action, reward, following, next_state, led_to.terminated, done)

    def get_state(self) -> Tree:
        """The env's, and what is observed."""
        return {"env": self._env.get_state(), "window": self.window.copy(), "state": self.state.copy()}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._env.set_state(state["env"])
        self.window, self.state = np.array(state["window"]), np.array(state["state"])


class Moments:
    """Count, sum and sum of squares of what was observed, feature by feature; all of it moves.

    Parameters
    ----------
    n_features
        Of what is observed.
    """

    def __init__(self, n_features: int) -> None:
        self.count = 0
        self.total: FloatArray = np.zeros(n_features)
        self.squares: FloatArray = np.zeros(n_features)

    def add(self, values: Array) -> None:
        """Take in ``values (..., n_features)``."""
        flat = values.reshape(-1, len(self.total)).astype(float)
        self.count += len(flat)
        self.total = self.total + flat.sum(0)
        self.squares = self.squares + (flat**2).sum(0)

    @property
    def mean(self) -> FloatArray:
        """Of each feature."""
        return self.total / max(self.count, 1)

    @property
    def std(self) -> FloatArray:
        """Of each feature; 1 for one that does not vary."""
        variance = self.squares / max(self.count, 1) - self.mean**2
        return np.where(variance > 1e-9 * (1.0 + self.mean**2), np.sqrt(np.maximum(variance, 0.0)), 1.0)
