"""The memory that settings ask for in a world."""

from __future__ import annotations

from envs.core.statistics import exogenous_names
from envs.core.validation import SettingError
from envs.core.world import World
from hierarchy.nets.window_memory import WindowMemory
from hierarchy.window_memories import MemoryConfig, WindowNames


def unfitted(settings: MemoryConfig, world: World) -> WindowMemory | None:
    """A memory of the windows of a world, fitted to nothing yet; None where nothing is remembered.

    Raises
    ------
    SettingError
        The settings name what the world doesn't observe.
    """
    statistics = world.statistics
    names = WindowNames(statistics.observed_names, exogenous_names(statistics), len(world.reward_terms))
    try:
        form = settings.form(names)
    except SettingError as error:
        raise error.under("upper.memory") from None
    if form is None:
        return None
    memory: WindowMemory = settings.module(form)
    return memory
