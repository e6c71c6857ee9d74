"""Worlds that users compose: a setting names the function that makes the world."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence

from envs.composed.config import ComposedConfig
from envs.core.rng import Role
from envs.core.spec import WorldSpec
from envs.core.validation import SettingError
from envs.core.world import World, specified

Factory = Callable[[Sequence[int], int, Role], World]


def factory(name: str) -> Factory:
    """The function that ``MODULE:FUNCTION`` names; the current folder is searched last.

    Raises
    ------
    SettingError
        There is no such module, it can't be imported, or it has no such function.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.append("")
    try:
        make = getattr(importlib.import_module(module), function, None)
    except (Exception, SystemExit) as error:  # whatever a module may raise while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SettingError("factory", "MODULE:FUNCTION of a module that can be imported", f"{name} ({reason})") from None
    if not callable(make):
        raise SettingError("factory", f"a function of module {module}", function)
    made: Factory = make
    return made


def compose(config: ComposedConfig, env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The world that the configured function makes.

    Raises
    ------
    SettingError
        The function can't be found, or makes something else.
    """
    make = factory(config.factory)
    try:
        inspect.signature(make).bind(env_ids, seed, role)
    except TypeError:
        raise SettingError("factory", "a function of env ids, seed and role", config.factory) from None
    except ValueError:  # a function without a signature, as compiled ones may be
        pass
    try:
        world = make(env_ids, seed, role)
    except Exception as error:  # whatever a function of a user may raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        place = traceback.extract_tb(error.__traceback__)[-1]
        made = f"{config.factory}, which raises {reason} ({place.filename}:{place.lineno})"
        raise SettingError("factory", "a function that makes a World", made) from error
    if not isinstance(world, World):
        made = f"{config.factory}, which makes {type(world).__name__}"
        raise SettingError("factory", "a function that makes a World", made)
    return world


def describe(config: ComposedConfig) -> WorldSpec:
    """Names, numbers and labels of what the function makes."""
    return specified(compose(config, [0], 0, "train"), config.family, config.dt_s)
