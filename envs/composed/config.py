"""The family of worlds that users compose: a setting names the function that makes the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from envs.core.validation import SettingError, check, setting


@dataclass(frozen=True)
class ComposedConfig:
    """A world that a function makes."""

    family: Literal["composed"] = "composed"
    """name of the env family"""
    factory: str = ""
    """MODULE:FUNCTION, called with env ids, seed and role; the module may also be in the current folder"""
    dt_s: float = setting(1.0, gt=0)
    """seconds that a step stands for, on pictures"""
    episode_steps: int = setting(1000, ge=1)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        check(self)
        module, _, function = self.factory.partition(":")
        if not (module and function):
            raise SettingError("factory", "MODULE:FUNCTION", repr(self.factory))
