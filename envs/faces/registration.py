"""The ids that Gymnasium knows worlds by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

import envs

if TYPE_CHECKING:
    from envs.core.rng import Role
    from envs.faces.gymnasium import MultiObjectiveEnv, SingleEnv

NAMES = {"LoadBalancing": "load_balancing", "Spark": "spark"}
"""Family by the name in an id: ``metabalance/NAME-v0``, and ``metabalance/NAMEMO-v0`` with a vector of rewards."""


def make_single(
    config: envs.EnvConfig | None = None,
    seed: int = 0,
    role: Role = "train",
    env_id: int = 0,
    family: str = "load_balancing",
    render_mode: str | None = None,
) -> SingleEnv:
    """One env with contexts drawn per episode.

    Parameters
    ----------
    config
        Settings; those that ``family`` has by default when there are none.
    seed, role, env_id
        What fixes the env's random streams: it does what env ``env_id`` of a batch does.
    render_mode
        `ansi`, `rgb_array` or None.
    """
    from envs.core.context import ContextSampling
    from envs.faces.gymnasium import SingleEnv

    settings = envs.FAMILIES[family].config() if config is None else config
    return SingleEnv(envs.make(settings, 1, seed, role, ContextSampling(), [env_id]))


def make_multi_objective(
    config: envs.EnvConfig | None = None,
    seed: int = 0,
    role: Role = "train",
    family: str = "load_balancing",
    render_mode: str | None = None,
) -> MultiObjectiveEnv:
    """One env with a vector of rewards, one a term, for MO-Gymnasium and MORL-Baselines."""
    from envs.faces.gymnasium import MultiObjectiveEnv, SingleEnv

    settings = envs.FAMILIES[family].config() if config is None else config
    return MultiObjectiveEnv(SingleEnv(envs.make(settings, 1, seed, role)))


def register() -> None:
    """Make all ids known."""
    for name, family in NAMES.items():
        kwargs: dict[str, Any] = {"family": family}
        entry = "envs.faces.registration"
        gymnasium.register(id=f"metabalance/{name}-v0", entry_point=f"{entry}:make_single", kwargs=kwargs)
        gymnasium.register(id=f"metabalance/{name}MO-v0", entry_point=f"{entry}:make_multi_objective", kwargs=kwargs)
