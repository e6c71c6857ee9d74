"""A toy of the upper world: a bit is observed, and says which of two corners is worth 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.simplex import to_simplex
from hierarchy.upper.meta_env import MetaEnv
from hierarchy.vec_env import ArrayVecEnv

RIGHT = np.array([0, 2])
"""The term that is worth something, by bit; the best constant context is worth a half."""
N_STEPS = 50


class Bits(MetaEnv):
    """Every meta step draws a bit; the objective is the weight of the term that the bit before asked for."""

    term_names = ("first", "second", "third")

    def __init__(self, n_envs: int = 16) -> None:
        ArrayVecEnv.__init__(self, n_envs, spaces.Box(-1.0, 1.0, (2,)), spaces.Box(-1.0, 1.0, (3,)))
        self.objective, self.contexts = np.zeros(n_envs), np.full((n_envs, 1, 3), 1 / 3)

    def reset(self) -> np.ndarray:
        self._rng, self._n_steps = np.random.default_rng(self._take_seed()), 0
        return self._drawn()

    def _drawn(self) -> np.ndarray:
        self._bits = self._rng.integers(0, 2, self.num_envs)
        return np.stack([2 * self._bits - 1, np.ones(self.num_envs)], axis=1).astype(np.float32)

    def step_wait(self) -> Any:
        self.contexts = to_simplex(self._actions)[:, None]
        self.objective = self.context[np.arange(self.num_envs), RIGHT[self._bits]]
        self._n_steps += 1
        observation, done = self._drawn(), np.full(self.num_envs, self._n_steps % N_STEPS == 0)
        infos = [{"terminal_observation": one, "TimeLimit.truncated": True} if done.any() else {} for one in observation]
        return observation, self.objective.astype(np.float32), done, infos
