"""Worlds to control: batched simulators with Gymnasium faces. Nothing here knows torch, stable-baselines3 or MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import gymnasium

from envs.composed.config import ComposedConfig
from envs.load_balancing.config import LoadBalancingConfig
from envs.spark.config import SparkConfig

if TYPE_CHECKING:
    from envs.core.batch import BatchEnv, World
    from envs.core.context import ContextSampling
    from envs.core.reports import Reports
    from envs.core.rng import Role
    from envs.faces.gymnasium import MultiObjectiveEnv, SingleEnv

__all__ = [
    "FAMILIES",
    "ComposedConfig",
    "EnvConfig",
    "LoadBalancingConfig",
    "SparkConfig",
    "heuristics",
    "make",
    "make_multi_objective",
    "make_single",
]


class EnvConfig(Protocol):
    """What the settings of every family have; they are frozen dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def family(self) -> str: ...
    @property
    def dt_s(self) -> float: ...
    @property
    def episode_steps(self) -> int: ...


class Unlearned(Protocol):
    """An episode under a rule that needs no learning: what is told of it, and what runs it on."""

    @property
    def world(self) -> Reports: ...
    def run(self, n_steps: int, last: bool) -> None: ...


Rules = Mapping[str, "Callable[[Any, Sequence[int], int, Role], Unlearned]"]


def _load_balancing(config: Any, env_ids: Sequence[int], seed: int, role: Role) -> World:
    from envs.load_balancing.world import load_balancing

    return load_balancing(config, env_ids, seed, role)


def _balancing_rules() -> Rules:
    from envs.load_balancing.rules import RUNS

    return RUNS


def _spark(config: Any, env_ids: Sequence[int], seed: int, role: Role) -> World:
    from envs.spark.world import spark

    return spark(config, env_ids, seed, role)


def _composed(config: Any, env_ids: Sequence[int], seed: int, role: Role) -> World:
    from envs.composed.config import composed

    return composed(config, env_ids, seed, role)


def _no_rules() -> Rules:
    return {}


class Family(NamedTuple):
    """An env family: the type of its config, what composes its world, and what one would run in it without learning."""

    config: type[Any]
    world: Callable[[Any, Sequence[int], int, Any], Any]
    heuristics: Callable[[], Rules] = _no_rules


FAMILIES: dict[str, Family] = {
    "load_balancing": Family(LoadBalancingConfig, _load_balancing, _balancing_rules),
    "spark": Family(SparkConfig, _spark),
    "composed": Family(ComposedConfig, _composed),
}
"""Every env family by name."""


def make(
    config: EnvConfig,
    n_envs: int,
    seed: int = 0,
    role: Role = "train",
    sampling: ContextSampling | None = None,
    env_ids: Sequence[int] | None = None,
) -> BatchEnv:
    """A batch of ``n_envs`` envs of the config's family.

    Env ``i`` is named ``env_ids[i]`` (``i`` by default); given the same actions it does the same whatever the batch.
    """
    from envs.core.batch import BatchEnv

    if n_envs < 1:
        raise ValueError(f"n_envs must be >= 1, got {n_envs}")
    ids = range(n_envs) if env_ids is None else env_ids
    if len(ids) != n_envs:
        raise ValueError(f"env_ids must name {n_envs} envs, got {len(ids)}")
    world = _family(config).world(config, ids, seed, role)
    return BatchEnv(world, config.episode_steps, sampling)


def _family(config: EnvConfig) -> Family:
    name = getattr(config, "family", None)
    if name not in FAMILIES:
        raise ValueError(f"config must be of one of the families {', '.join(FAMILIES)}, got {type(config).__name__}")
    return FAMILIES[name]


def heuristics(config: EnvConfig) -> Rules:
    """What one would run in the config's world without learning, by name: called with config, env ids, seed and role."""
    return _family(config).heuristics()


def make_single(
    config: EnvConfig | None = None, seed: int = 0, role: Role = "train", env_id: int = 0, family: str = "load_balancing"
) -> SingleEnv:
    """One env with contexts drawn per episode; what the registered ids make.

    Parameters
    ----------
    config
        Settings; those that ``family`` has by default when there are none.
    seed, role, env_id
        What fixes the env's random streams: it does what env ``env_id`` of a batch does.
    """
    from envs.core.context import ContextSampling
    from envs.faces.gymnasium import SingleEnv

    settings = FAMILIES[family].config() if config is None else config
    return SingleEnv(make(settings, 1, seed, role, ContextSampling(), [env_id]))


def make_multi_objective(
    config: EnvConfig | None = None, seed: int = 0, role: Role = "train", family: str = "load_balancing"
) -> MultiObjectiveEnv:
    """One env with a vector of rewards, one a term, for MO-Gymnasium and MORL-Baselines."""
    from envs.faces.gymnasium import MultiObjectiveEnv, SingleEnv

    settings = FAMILIES[family].config() if config is None else config
    return MultiObjectiveEnv(SingleEnv(make(settings, 1, seed, role)))


for _name, _family_name in (("LoadBalancing", "load_balancing"), ("Spark", "spark")):
    _kwargs = {"family": _family_name}
    gymnasium.register(id=f"metabalance/{_name}-v0", entry_point="envs:make_single", kwargs=_kwargs)
    gymnasium.register(id=f"metabalance/{_name}MO-v0", entry_point="envs:make_multi_objective", kwargs=_kwargs)
