"""Settings that a folder holds, as a config. Whoever made the folder may have named any code as the factory of its world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envs import ComposedConfig
from envs.core.validation import SettingError, build
from hierarchy.config import ExperimentConfig

TRUST_OPTION = "--trust-factory"
"""Says on a command line that a factory is trusted whose name comes from a folder."""


def check_trusted(factory: object, trusts_factory: bool) -> None:
    """A factory that a folder names is code of whoever made the folder: it takes a user to trust it.

    Raises
    ------
    SettingError
        It is not trusted.
    """
    if not trusts_factory:
        allowed = f"trusted with {TRUST_OPTION} (in Python trusts_factory=True) where a folder names it"
        raise SettingError("env.factory", allowed, factory)


def config_from(values: Mapping[str, Any], trusts_factory: bool = False) -> ExperimentConfig:
    """What a folder holds as settings, as a config; nothing is imported.

    Raises
    ------
    SettingError
        A setting is not allowed, or names a factory that is not trusted.
    """
    config = build(ExperimentConfig, values)
    if factory_of(config):
        check_trusted(factory_of(config), trusts_factory)
    return config


def config_in_progress(values: Mapping[str, Any], asked: ExperimentConfig) -> ExperimentConfig:
    """The same of an experiment that is not over: phases may have changed the settings that were asked for, but no factory.

    Raises
    ------
    SettingError
        The factory is another one.
    """
    config = build(ExperimentConfig, values)
    if factory_of(config) != factory_of(asked):
        allowed = f"{factory_of(asked) or 'none'} in .progress, as in the settings"
        raise SettingError("env.factory", allowed, factory_of(config) or "none")
    return config


def factory_of(config: ExperimentConfig) -> str:
    """The factory of the world; empty if it has none."""
    return config.env.factory if isinstance(config.env, ComposedConfig) else ""
