"""The family of worlds that users compose: a setting names the function that makes the world."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import SettingError, check, setting

if TYPE_CHECKING:
    from envs.core.batch import World
    from envs.core.rng import Role


@dataclass(frozen=True)
class ComposedConfig:
    """A world that a function makes."""

    family: Literal["composed"] = "composed"
    """name of the env family"""
    factory: str = ""
    """MODULE:FUNCTION, called with env ids, seed and role; the module is looked for in the current folder too"""
    dt_s: float = setting(1.0, gt=0)
    """seconds that a step stands for, on pictures"""
    episode_steps: int = setting(1000, ge=1)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        check(self)
        module, _, function = self.factory.partition(":")
        if not (module and function):
            raise SettingError("factory", "MODULE:FUNCTION", repr(self.factory))


def factory(name: str) -> Callable[[Sequence[int], int, Role], World]:
    """The function that ``MODULE:FUNCTION`` names.

    Raises
    ------
    ValueError
        There is no such module, or no such function in it.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ModuleNotFoundError as error:
        raise ValueError(f"env.factory must name a module that can be imported, got {name!r} ({error})") from None
    if not callable(found):
        raise ValueError(f"env.factory must name a function of {module}, got {function!r}")
    make: Callable[[Sequence[int], int, Role], World] = found
    return make


def composed(config: ComposedConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world that the configured function makes.

    Raises
    ------
    ValueError
        The function can't be found, or makes something else.
    """
    from envs.core.batch import World

    world = factory(config.factory)(env_ids, seed, role)
    if not isinstance(world, World):
        raise ValueError(f"env.factory must make an envs.core.batch.World, got {type(world).__name__}")
    return world
