"""Worlds of teams that are small enough to know what is best in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.team import TeamSpec, TeamStep


def boxed(n: int, low: float = -np.inf, high: float = np.inf) -> spaces.Box:
    return spaces.Box(low, high, (n,), np.float32)


class OneStep:
    """A game of one step, in which there is nothing to observe but a one."""

    def __init__(self, n_envs: int, n_agents: int, action_space: Any) -> None:
        self.n_envs = n_envs
        names = tuple(f"agent-{i}" for i in range(n_agents))
        self.spec = TeamSpec(names, boxed(1), action_space, boxed(1))

    def reset(self, seed: int | None = None, mask: np.ndarray | None = None) -> np.ndarray:
        return np.ones((self.n_envs, self.spec.n_agents, 1), np.float32)

    def rewards(self, action: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def step(self, action: np.ndarray) -> TeamStep:
        ended = np.ones(self.n_envs, bool)
        return TeamStep(self.reset(), self.rewards(action), ended, ~ended)

    def state(self) -> np.ndarray:
        return np.ones((self.n_envs, 1), np.float32)

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing moves."""


class Levels(OneStep):
    """Two agents set two levels each, and pay for each level that they are away from their own best."""

    wanted = np.array([[2, 1], [0, 3]])

    def __init__(self, n_envs: int) -> None:
        super().__init__(n_envs, 2, spaces.MultiDiscrete([3, 4]))

    def rewards(self, action: np.ndarray) -> np.ndarray:
        return -np.abs(action - self.wanted).sum(-1).astype(float)


class Cue:
    """Two agents are shown a one or a zero each at first, and are paid for doing that ``n_steps - 1`` steps later.

    An episode ends after as many; between, and for the last step, nothing is shown. What moves is cues, steps and a stream.
    """

    def __init__(self, n_envs: int, n_steps: int = 3) -> None:
        self.n_envs, self.n_steps = n_envs, n_steps
        self.spec = TeamSpec(("one", "two"), boxed(2), spaces.Discrete(2), boxed(3))
        self.rng = np.random.default_rng(0)
        self.cue = np.zeros((n_envs, 2), np.int64)
        self.at = np.full(n_envs, n_steps)

    def observation(self) -> np.ndarray:
        first = (self.at == 0)[:, None]
        return np.stack([first * self.cue, first * (1 - self.cue)], -1).astype(np.float32)

    def reset(self, seed: int | None = None, mask: np.ndarray | None = None) -> np.ndarray:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        drawn = self.rng.integers(0, 2, self.cue.shape)
        mask = np.ones(self.n_envs, bool) if mask is None else mask
        self.cue = np.where(mask[:, None], drawn, self.cue)
        self.at = np.where(mask, 0, self.at)
        return self.observation()

    def step(self, action: np.ndarray) -> TeamStep:
        last = self.at == self.n_steps - 1
        reward = last[:, None] * (action == self.cue).astype(float)
        self.at = np.minimum(self.at + 1, self.n_steps)
        return TeamStep(self.observation(), reward, last, np.zeros(self.n_envs, bool))

    def state(self) -> np.ndarray:
        return np.concatenate([self.cue, self.at[:, None]], 1).astype(np.float32)

    def get_state(self) -> dict[str, Any]:
        from envs.core.state import generator_state

        return {"rng": generator_state(self.rng), "cue": self.cue.copy(), "at": self.at.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        from envs.core.state import set_generator_state

        set_generator_state(self.rng, state["rng"])
        self.cue, self.at = state["cue"].copy(), state["at"].copy()
