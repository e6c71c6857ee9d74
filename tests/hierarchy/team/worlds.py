"""Worlds of teams that are small enough to know what is best in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.team import TeamSpec, TeamStep

CLIMBING = np.array([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]])
"""The climbing game (Claus and Boutilier, AAAI 1998): (0, 0) is best, and dear to miss."""
MONOTONE = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 12.0]])
"""What each agent does best does not depend on the other; it is no sum of two."""
NASH, OPTIMUM = 100.0 / 3.0, 50.0
"""Prices of `Pricing` where nobody gains by another price: p = (100 + 0.5 * 2 p) / 4, and where all together gain most:
p = 100 / (2 * (2 - 0.5 * 2))."""


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


class Matrix(OneStep):
    """Two agents are paid half each of the entry that they choose."""

    def __init__(self, payoff: np.ndarray, n_envs: int) -> None:
        super().__init__(n_envs, 2, spaces.Discrete(len(payoff)))
        self.payoff = payoff

    def rewards(self, action: np.ndarray) -> np.ndarray:
        paid = self.payoff[action[:, 0], action[:, 1]] / 2.0
        return np.stack([paid, paid], 1)


class Pricing(OneStep):
    """Three stores set prices; each sells ``100 - 2 p`` plus half the sum of others' prices, and earns ``p`` times that.

    Prices reach to 80: a policy that begins in the middle is a sixth above the one answer and a fifth below the other.
    """

    def __init__(self, n_envs: int) -> None:
        super().__init__(n_envs, 3, spaces.Box(0.0, 80.0, (1,), np.float32))

    def rewards(self, action: np.ndarray) -> np.ndarray:
        price = action[..., 0].astype(float)
        return price * (100.0 - 2.0 * price + 0.5 * (price.sum(1, keepdims=True) - price))


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
