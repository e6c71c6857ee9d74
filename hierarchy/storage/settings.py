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
    if isinstance(config.env, ComposedConfig):
        check_trusted(config.env.factory, trusts_factory)
    return config
