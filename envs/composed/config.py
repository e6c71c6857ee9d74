"""The family of worlds that users compose: a setting names the function that makes the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.validation import one_of, positive


@dataclass(frozen=True)
class ComposedConfig:
    """A world that a function makes."""

    family: Literal["composed"] = "composed"
    """name of the env family"""
    factory: str = ""
    """MODULE:FUNCTION, called with env ids, seed and role; the module may also be in the current folder"""
    dt_s: float = 1.0
    """seconds that a step stands for, on pictures"""
    episode_steps: int = 1000
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        one_of(("composed",), **{"env.family": self.family})
        module, _, function = self.factory.partition(":")
        if not (module and function):
            raise ValueError(f"env.factory must be MODULE:FUNCTION, got {self.factory!r}")
        positive(dt_s=self.dt_s, episode_steps=self.episode_steps)
