"""A Gymnasium env with a vector of rewards, for MO-Gymnasium and MORL-Baselines."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, FloatArray32
from envs.core.dynamics import Info
from envs.faces.single import SingleEnv


class MultiObjectiveEnv(gymnasium.Env[FloatArray32, Array]):
    """A batch of one whose reward is the vector of minus its terms ``(n_terms,)``, as MO-Gymnasium has it.

    The weights of the terms are the caller's to choose, so the context in the observation stays equal and means nothing.
    `reward_space` and `reward_dim` are what MO-Gymnasium's wrappers and MORL-Baselines need.
    """

    def __init__(self, single: SingleEnv) -> None:
        self._single = single
        self.batch, self.metadata, self.render_mode = single.batch, single.metadata, single.render_mode
        self.observation_space: spaces.Space[Any] = single.observation_space
        self.action_space: spaces.Space[Any] = single.action_space
        self.reward_space: spaces.Box = single.reward_space
        self.reward_dim = single.batch.n_terms

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[FloatArray32, Info]:
        """Begin an episode."""
        super().reset(seed=seed)
        return self._single.reset(seed=seed, options=options)

    def step(self, action: Array) -> tuple[FloatArray32, Array, bool, bool, Info]:
        """One step; the reward is a vector, which Gymnasium's type doesn't know."""
        observation, _, terminated, truncated, info = self._single.step(action)
        return observation, info["reward_vector"].astype(np.float32), terminated, truncated, info

    def render(self) -> Any:
        """As a single env is rendered."""
        return self._single.render()
