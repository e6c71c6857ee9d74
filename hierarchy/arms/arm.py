"""What an arm is: its kind, what must be found for it, and how it starts in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from envs import EnvConfig
from envs.core.rules import MEASUREMENTS, Controller
from envs.core.spec import WorldSpec
from hierarchy.arms.found import Found
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import Kind


def always(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """Asked for by all settings, and defined in all worlds."""
    return True


def unchanged(env: EnvConfig, found: Mapping[str, Any]) -> EnvConfig:
    """The world as it is configured."""
    return env


def no_algorithm(config: ExperimentConfig) -> str | None:
    """Of an arm that nothing was trained for."""
    return None


@dataclass(frozen=True)
class Arm:
    """Something that is compared. An entry in `hierarchy.arms.ARMS` adds one.

    Attributes
    ----------
    kind
        Who sets the mix: a learned agent, the arm; it is told more than anybody who acts is (``oracle``), none is set
        (``unmixed``), nothing learns (``rule``), or it is one of the others that was taken (``gated``).
    start
        The controller of a batch from the beginning of its episodes on; a function of a module, since it may run in another
        process.
    wanted
        Whether settings ask for it and the world can define it.
    needs
        What must be found for it.
    configured
        The world that it runs in, given the experiment's and what was found for the arm.
    algorithm
        Name of the algorithm that an agent of its own was trained by.
    knows
        What it is told beside its settings.
    """

    kind: Kind
    start: Callable[[Start], Controller]
    wanted: Callable[[ExperimentConfig, WorldSpec], bool] = always
    needs: tuple[Found, ...] = ()
    configured: Callable[[EnvConfig, Mapping[str, Any]], EnvConfig] = unchanged
    algorithm: Callable[[ExperimentConfig], str | None] = no_algorithm
    knows: str = MEASUREMENTS
