"""A tank that leaks, and a valve that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from envs.core.dynamics import Dynamics, Transition
from envs.core.rng import Role
from envs.core.spec import WorldSpec
from envs.core.validation import check, setting
from envs.core.world import World, specified


@dataclass(frozen=True)
class TankConfig:
    """A tank."""

    family: Literal["tank"] = "tank"
    """name of the env family"""
    leak: float = setting(0.1, gt=0, lt=1)
    """share that is lost in a step"""
    dt_s: float = setting(1.0, gt=0)
    """seconds of a step"""
    episode_steps: int = setting(100, ge=1)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        check(self)


class Tank(Dynamics):
    """The level of every tank."""

    action_space = spaces.Discrete(3)

    def __init__(self, config: TankConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(env_ids, seed, role)
        self.leak, self.level = config.leak, np.zeros(self.n_envs)

    def reset_dynamics(self, mask: np.ndarray) -> Transition:
        self.level[mask] = self.uniform(1, mask)[mask, 0]
        return Transition()

    def step_dynamics(self, action: np.ndarray, running: np.ndarray) -> Transition:
        self.level = np.where(running, (1.0 - self.leak) * self.level + 0.1 * action, self.level)
        return Transition()


class Gauge:
    """The level."""

    carries_action_set = True
    space = spaces.Box(0.0, np.inf, (1,), np.float32)

    def before_reset(self, measurements: Tank, mask: np.ndarray) -> None: ...

    def extract(self, measurements: Tank, moved: np.ndarray) -> np.ndarray:
        return measurements.level[:, None].astype(np.float32)


TERMS: dict[str, Any] = {"too_low": lambda tank: np.maximum(0.5 - tank.level, 0.0), "level": lambda tank: tank.level}


def compose(config: TankConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world of a config."""
    return World(Tank(config, env_ids, seed, role), Gauge(), TERMS)


def describe(config: TankConfig) -> WorldSpec:
    """Names and numbers."""
    return specified(compose(config, [0], 0, "train"), config.family, config.dt_s)
