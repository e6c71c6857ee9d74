"""The ids that Gymnasium knows worlds by, and the functions that make envs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium

from envs.families import FAMILIES, EnvConfig, make

if TYPE_CHECKING:
    from gymnasium.vector import AutoresetMode

    from envs.core.context import ContextSampling
    from envs.core.rng import Role
    from envs.faces.multi_objective import MultiObjectiveEnv
    from envs.faces.single import SingleEnv
    from envs.faces.vector import BatchVectorEnv

NAMES = {"LoadBalancing": "load_balancing", "Spark": "spark"}
"""Family by the name in an id: ``metabalance/NAME-v0``, and ``metabalance/NAMEMO-v0`` with a vector of rewards."""


def make_single(
    config: EnvConfig | None = None,
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
    from envs.faces.single import SingleEnv

    settings = _settings(config, family)
    return SingleEnv(make(settings, 1, seed, role, ContextSampling(), [env_id]), render_mode, settings.dt_s)


def make_multi_objective(
    config: EnvConfig | None = None,
    seed: int = 0,
    role: Role = "train",
    family: str = "load_balancing",
    render_mode: str | None = None,
) -> MultiObjectiveEnv:
    """One env with a vector of rewards, one a term, for MO-Gymnasium and MORL-Baselines; see :func:`make_single`."""
    from envs.faces.multi_objective import MultiObjectiveEnv
    from envs.faces.single import SingleEnv

    settings = _settings(config, family)
    return MultiObjectiveEnv(SingleEnv(make(settings, 1, seed, role), render_mode, settings.dt_s))


def make_vector(
    num_envs: int = 1,
    config: EnvConfig | None = None,
    seed: int = 0,
    role: Role = "train",
    sampling: ContextSampling | None = None,
    autoreset_mode: AutoresetMode | str | None = None,
    family: str = "load_balancing",
    render_mode: str | None = None,
) -> BatchVectorEnv:
    """A batch as a vector env with contexts drawn per episode; for the other parameters see :func:`make_single`.

    Parameters
    ----------
    num_envs
        Size of the batch.
    sampling
        How contexts are drawn; as in a single env by default.
    autoreset_mode
        `NextStep` (the default), `SameStep` or `Disabled`.
    """
    from gymnasium.vector import AutoresetMode

    from envs.core.context import ContextSampling
    from envs.faces.vector import BatchVectorEnv

    settings = _settings(config, family)
    mode = AutoresetMode.NEXT_STEP if autoreset_mode is None else AutoresetMode(autoreset_mode)
    batch = make(settings, num_envs, seed, role, ContextSampling() if sampling is None else sampling)
    return BatchVectorEnv(batch, mode, render_mode, settings.dt_s)


def _settings(config: EnvConfig | None, family: str) -> EnvConfig:
    settings: EnvConfig = FAMILIES[family].config() if config is None else config
    return settings


def register() -> None:
    """Make all ids known."""
    entry = "envs.faces.registration"
    for name, family in NAMES.items():
        kwargs: dict[str, Any] = {"family": family}
        gymnasium.register(
            id=f"metabalance/{name}-v0",
            entry_point=f"{entry}:make_single",
            vector_entry_point=f"{entry}:make_vector",
            kwargs=kwargs,
        )
        gymnasium.register(id=f"metabalance/{name}MO-v0", entry_point=f"{entry}:make_multi_objective", kwargs=kwargs)
