"""Tiny settings of every algorithm, and a tiny world that it can learn in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from envs.core.team import TeamEnv
from envs.core.validation import SettingError
from envs.games import Climbing, Pricing, make
from hierarchy.team import TEAM_ALGORITHMS
from hierarchy.team.protocols import TeamAlgorithm
from tests.hierarchy.team.worlds import Cue, Levels

TINY = {
    "timesteps": 48,
    "warm_up": 16,
    "hidden_size": 8,
    "learning_rate": 1e-2,
    "batch_size": 8,
    "buffer_size": 40,
    "rollout_steps": 4,
    "epochs": 2,
    "memory_steps": 2,
}
WORLDS: dict[str, Callable[[int], TeamEnv]] = {
    "cue": Cue,
    "climbing": lambda n_envs: make(Climbing(), n_envs),
    "levels": Levels,
    "pricing": lambda n_envs: make(Pricing(), n_envs),
}
VARIANTS: tuple[dict[str, Any], ...] = ({"memory": "gru", "shares_parameters": False},)


def tiny(name: str, **changes: Any) -> TeamAlgorithm:
    """Settings of an algorithm; what it has no setting for is left out."""
    kind = TEAM_ALGORITHMS[name]
    return kind(**{key: value for key, value in (TINY | changes).items() if key in kind.__dataclass_fields__})


def worlds_of(config: TeamAlgorithm) -> list[str]:
    """Those that an algorithm can learn in."""
    return [name for name, make in WORLDS.items() if _fits(config, make(1))]


def _fits(config: TeamAlgorithm, env: TeamEnv) -> bool:
    try:
        config.check_team(env.spec)
    except SettingError:
        return False
    return True


def cases() -> list[tuple[str, dict[str, Any], str]]:
    """Every algorithm in a world of each kind of actions that it can take; its other variants in one world."""
    found: list[tuple[str, dict[str, Any], str]] = []
    for name, kind in TEAM_ALGORITHMS.items():
        worlds = [world for world in worlds_of(tiny(name)) if world != "climbing"]
        found += [(name, {}, world) for world in worlds]
        found += [(name, changes, worlds[0]) for changes in VARIANTS if set(changes) <= set(kind.__dataclass_fields__)]
    return found
