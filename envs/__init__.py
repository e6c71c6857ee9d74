"""Worlds to control: batched simulators with Gymnasium faces. Nothing here knows torch, stable-baselines3 or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.load_balancing.config import LoadBalancingConfig

if TYPE_CHECKING:
    from envs.compose import BatchEnv, Dynamics
    from envs.context import ContextSampling
    from envs.gymnasium_api import SingleEnv
    from envs.rng import Role

__all__ = ["FAMILIES", "LoadBalancingConfig", "family_of", "make", "make_single"]


def _load_balancing(config: Any, env_ids: Sequence[int], seed: int, role: Role) -> Dynamics:
    from envs.load_balancing.world import LoadBalancing

    return LoadBalancing(config, env_ids, seed, role)


FAMILIES: dict[str, tuple[type, Callable[[Any, Sequence[int], int, Any], Any]]] = {
    "load_balancing": (LoadBalancingConfig, _load_balancing),
}
"""Every env family: the type of its config, and what builds its dynamics."""


def family_of(config: object) -> str:
    """The name of the family that a config belongs to."""
    for name, (config_type, _) in FAMILIES.items():
        if isinstance(config, config_type):
            return name
    known = ", ".join(config_type.__name__ for config_type, _ in FAMILIES.values())
    raise ValueError(f"config must be one of {known}, got {type(config).__name__}")


def make(
    config: Any,
    n_envs: int,
    seed: int = 0,
    role: Role = "train",
    sampling: ContextSampling | None = None,
    env_ids: Sequence[int] | None = None,
) -> BatchEnv:
    """A batch of ``n_envs`` envs of the config's family.

    Env ``i`` is named ``env_ids[i]`` (``i`` by default); given the same actions it does the same whatever the batch.
    """
    from envs.compose import BatchEnv

    if n_envs < 1:
        raise ValueError(f"n_envs must be >= 1, got {n_envs}")
    ids = range(n_envs) if env_ids is None else env_ids
    if len(ids) != n_envs:
        raise ValueError(f"env_ids must name {n_envs} envs, got {len(ids)}")
    dynamics = FAMILIES[family_of(config)][1](config, ids, seed, role)
    return BatchEnv(dynamics, config.episode_steps, sampling)


def make_single(config: Any = None, seed: int = 0, role: Role = "train") -> SingleEnv:
    """One env with contexts drawn per episode; what the registered ids make."""
    from envs.context import ContextSampling
    from envs.gymnasium_api import SingleEnv

    settings = LoadBalancingConfig() if config is None else config
    return SingleEnv(make(settings, 1, seed, role, ContextSampling()))


gymnasium.register(id="metabalance/LoadBalancing-v0", entry_point="envs:make_single")
