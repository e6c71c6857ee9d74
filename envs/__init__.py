"""Worlds to control: batched simulators with Gymnasium faces. Nothing here knows torch, stable-baselines3 or MLflow.

``make`` gives a batch to learn in, ``simulate`` a batch without reward and context, ``describe`` what a world is made of.
One composes a world of `World`, `Dynamics` and `reward_term`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from envs.composed.config import ComposedConfig
from envs.core.terms import reward_term
from envs.faces.registration import register
from envs.families import (
    FAMILIES,
    EnvConfig,
    acting_rule,
    base_rule,
    describe,
    drawn,
    make,
    notes,
    rules,
    simulate,
    with_numbers,
)
from envs.load_balancing.config import LoadBalancingConfig
from envs.spark.config import SparkConfig

if TYPE_CHECKING:
    from envs.core.batch import BatchEnv
    from envs.core.dynamics import Dynamics
    from envs.core.world import World

__all__ = [
    "FAMILIES",
    "BatchEnv",
    "ComposedConfig",
    "Dynamics",
    "EnvConfig",
    "LoadBalancingConfig",
    "SparkConfig",
    "World",
    "acting_rule",
    "base_rule",
    "describe",
    "drawn",
    "make",
    "notes",
    "reward_term",
    "rules",
    "simulate",
    "with_numbers",
]

_LAZY = {"World": "envs.core.world", "Dynamics": "envs.core.dynamics", "BatchEnv": "envs.core.batch"}
"""Names of the face whose modules hold compiled code, imported when they are needed."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


register()
