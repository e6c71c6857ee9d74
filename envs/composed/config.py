"""The family of worlds that users compose: a setting names the function that makes the world."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import SettingError, one_of, positive

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


def factory(name: str) -> Callable[[Sequence[int], int, Role], World]:
    """The function that ``MODULE:FUNCTION`` names. The current folder comes last where modules are searched.

    Raises
    ------
    SettingError
        There is no such module, it can't be imported, or there is no such function in it.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.append("")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:  # whatever running a stranger's module may raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise SettingError("env.factory", "a function of a module that can be imported", f"{name} ({said})") from error
    if not callable(found):
        raise SettingError("env.factory", f"the name of a function of {module}", repr(function))
    make: Callable[[Sequence[int], int, Role], World] = found
    return make


def composed(config: ComposedConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world that the configured function makes.

    Raises
    ------
    SettingError
        The function can't be found, takes something else, or makes something else.
    """
    from envs.core.batch import World

    make = factory(config.factory)
    try:
        inspect.signature(make).bind(env_ids, seed, role)
    except TypeError as error:
        allowed = "a function of env ids, seed and role"
        raise SettingError("env.factory", allowed, f"{config.factory} ({error})") from None
    except ValueError:  # a built-in that has no signature to look at
        pass
    world = make(env_ids, seed, role)
    if not isinstance(world, World):
        raise SettingError("env.factory", "a function that makes an envs.core.batch.World", type(world).__name__)
    return world
