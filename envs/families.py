"""The families of worlds, and what is made of a config of one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import Field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from envs.composed.config import ComposedConfig
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig
from envs.spark.config import SparkConfig

if TYPE_CHECKING:
    from envs.core.batch import BatchEnv
    from envs.core.context import ContextSampling
    from envs.core.rng import Role
    from envs.core.rules import BaseRule, Controller, Numbers, Rule
    from envs.core.simulation import Simulation
    from envs.core.spec import WorldSpec
    from envs.core.world import World


class EnvConfig(Protocol):
    """What the settings of every family have; they are frozen dataclasses."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def family(self) -> str: ...
    @property
    def dt_s(self) -> float: ...
    @property
    def episode_steps(self) -> int: ...


class Family(NamedTuple):
    """An env family: the type of its config, and the module of its world.

    The module has ``compose(config, env_ids, seed, role) -> World``, ``describe(config) -> WorldSpec``, `RULES` if there is
    anything that one would run without learning, ``base_rule_of(config)`` and ``with_numbers(config, rule, numbers)`` if
    agents may start from one of them, ``acting_rule(config, rule, n_envs)`` if a rule may act in the place of an agent,
    ``drawn(config, seed, role, number)`` if worlds are drawn, and ``notes(config, episode_steps)`` if there may be anything
    to note.
    """

    config: type[Any]
    module: str


FAMILIES: dict[str, Family] = {
    "load_balancing": Family(LoadBalancingConfig, "envs.load_balancing.world"),
    "spark": Family(SparkConfig, "envs.spark.world"),
    "composed": Family(ComposedConfig, "envs.composed.world"),
}
"""Every env family by name."""


def _module(config: EnvConfig) -> Any:
    name = getattr(config, "family", None)
    if name not in FAMILIES:
        raise ValueError(f"config must be of one of the families {', '.join(FAMILIES)}, got {type(config).__name__}")
    return import_module(FAMILIES[name].module)


def describe(config: EnvConfig) -> WorldSpec:
    """Names, numbers and labels of the config's world."""
    spec: WorldSpec = _module(config).describe(config)
    return spec


def rules(config: EnvConfig) -> Mapping[str, Rule]:
    """What one would run in the config's world without learning, by name."""
    of_family: Mapping[str, Rule] = getattr(_module(config), "RULES", {})
    return {name: rule for name, rule in of_family.items() if rule.suits(config)}


def base_rule(config: EnvConfig) -> BaseRule | None:
    """The rule of the config's world that agents start from; None where they start from none."""
    of_family = getattr(_module(config), "base_rule_of", None)
    rule: BaseRule | None = None if of_family is None else of_family(config)
    return rule


def with_numbers(config: EnvConfig, rule: str, numbers: Numbers) -> EnvConfig:
    """A config whose agents start from that rule with other numbers."""
    changed: EnvConfig = _module(config).with_numbers(config, rule, numbers)
    return changed


def acting_rule(config: EnvConfig, rule: str, n_envs: int) -> Controller:
    """A rule in the place of an agent: its decisions are actions of the config's world, not settings.

    Raises
    ------
    SettingError
        There is no such rule, or the world's actions do not have what it sets.
    """
    of_family = getattr(_module(config), "acting_rule", None)
    if of_family is None:
        raise SettingError("rule", f"none of a rule's in a world of family {config.family}", rule)
    found: Controller = of_family(config, rule, n_envs)
    return found


def drawn(config: EnvConfig, seed: int, role: Role, number: int) -> EnvConfig:
    """One world, by its number, out of those that are drawn anew for every episode: it stays.

    Raises
    ------
    SettingError
        Nothing is drawn in worlds of the config's family, or by the config.
    """
    of_family = getattr(_module(config), "drawn", None)
    if of_family is None:
        raise SettingError("env.family", "one whose worlds can be drawn, load_balancing", config.family)
    one: EnvConfig = of_family(config, seed, role, number)
    return one


def notes(config: EnvConfig, episode_steps: int) -> tuple[str, ...]:
    """What one should know before figures of episodes of so many steps are read, a line each."""
    of_family = getattr(_module(config), "notes", None)
    lines: tuple[str, ...] = () if of_family is None else of_family(config, episode_steps)
    return lines


def _compose(config: EnvConfig, n_envs: int, seed: int, role: Role, env_ids: Sequence[int] | None) -> World:
    if n_envs < 1:
        raise ValueError(f"n_envs must be >= 1, got {n_envs}")
    ids = range(n_envs) if env_ids is None else env_ids
    if len(ids) != n_envs:
        raise ValueError(f"env_ids must name {n_envs} envs, got {len(ids)}")
    world: World = _module(config).compose(config, ids, seed, role)
    return world


def make(
    config: EnvConfig,
    n_envs: int,
    seed: int = 0,
    role: Role = "train",
    sampling: ContextSampling | None = None,
    env_ids: Sequence[int] | None = None,
) -> BatchEnv:
    """A batch of ``n_envs`` envs of the config's family to learn in.

    Env ``i`` is named ``env_ids[i]`` (``i`` by default); given the same actions it does the same whatever the batch.
    """
    from envs.core.batch import BatchEnv

    return BatchEnv(_compose(config, n_envs, seed, role, env_ids), config.episode_steps, sampling)


def simulate(
    config: EnvConfig, n_envs: int, seed: int = 0, role: Role = "train", env_ids: Sequence[int] | None = None
) -> Simulation:
    """The same batch without reward and context, for whoever acts in it."""
    from envs.core.simulation import Simulation

    return Simulation(_compose(config, n_envs, seed, role, env_ids), config.episode_steps)
