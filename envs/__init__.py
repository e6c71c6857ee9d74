"""Worlds to control: batched simulators with Gymnasium faces. Nothing here knows torch, stable-baselines3 or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium

from envs.load_balancing.config import LoadBalancingConfig

if TYPE_CHECKING:
    from envs.compose import BatchEnv, Dynamics, Unlearned
    from envs.context import ContextSampling
    from envs.gymnasium_api import MultiObjectiveEnv, SingleEnv
    from envs.rng import Role

__all__ = ["FAMILIES", "LoadBalancingConfig", "family_of", "heuristics", "make", "make_multi_objective", "make_single"]


def _load_balancing(config: Any, env_ids: Sequence[int], seed: int, role: Role) -> Dynamics:
    from envs.load_balancing.world import LoadBalancing

    return LoadBalancing(config, env_ids, seed, role)


def _balancing_rules() -> Mapping[str, Callable[[Any, Sequence[int], int, Role], Unlearned]]:
    from envs.load_balancing.heuristics import RUNS

    return RUNS


class Family(NamedTuple):
    """An env family: the type of its config, what builds its dynamics, and what one would run in it without learning."""

    config: type
    dynamics: Callable[[Any, Sequence[int], int, Any], Any]
    heuristics: Callable[[], Mapping[str, Callable[[Any, Sequence[int], int, Any], Any]]]


FAMILIES: dict[str, Family] = {
    "load_balancing": Family(LoadBalancingConfig, _load_balancing, _balancing_rules),
}
"""Every env family by name."""


def family_of(config: object) -> str:
    """The name of the family that a config belongs to."""
    for name, family in FAMILIES.items():
        if isinstance(config, family.config):
            return name
    known = ", ".join(family.config.__name__ for family in FAMILIES.values())
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
    dynamics = FAMILIES[family_of(config)].dynamics(config, ids, seed, role)
    return BatchEnv(dynamics, config.episode_steps, sampling)


def heuristics(config: Any) -> Mapping[str, Callable[[Any, Sequence[int], int, Role], Unlearned]]:
    """What one would run in the config's world without learning, by name: called with config, env ids, seed and role."""
    return FAMILIES[family_of(config)].heuristics()


def make_single(config: Any = None, seed: int = 0, role: Role = "train") -> SingleEnv:
    """One env with contexts drawn per episode; what the registered ids make."""
    from envs.context import ContextSampling
    from envs.gymnasium_api import SingleEnv

    settings = LoadBalancingConfig() if config is None else config
    return SingleEnv(make(settings, 1, seed, role, ContextSampling()))


def make_multi_objective(config: Any = None, seed: int = 0, role: Role = "train") -> MultiObjectiveEnv:
    """One env with a vector of rewards, one a term, for MO-Gymnasium and MORL-Baselines."""
    from envs.gymnasium_api import MultiObjectiveEnv, SingleEnv

    settings = LoadBalancingConfig() if config is None else config
    return MultiObjectiveEnv(SingleEnv(make(settings, 1, seed, role)))


gymnasium.register(id="metabalance/LoadBalancing-v0", entry_point="envs:make_single")
gymnasium.register(id="metabalance/LoadBalancingMO-v0", entry_point="envs:make_multi_objective")
