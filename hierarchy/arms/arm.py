"""What an arm is: its kind, what must be found for it, and how it starts in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from envs import EnvConfig
from envs.core.arrays import Array, FloatArray
from envs.core.rules import Controller
from envs.core.simulation import Simulation
from envs.core.spec import WorldSpec
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import Kind
from hierarchy.pair import ContextSetter, Held, Pair
from hierarchy.protocols import Acting, Actor
from hierarchy.upper.agent import lower_steps_per_window

if TYPE_CHECKING:
    from hierarchy.arms.selection import Selection


@dataclass(frozen=True)
class Agents:
    """What was trained: both levels of the hierarchy, and the agent without one if it is an arm."""

    lower: Actor
    upper: Actor
    flat: Actor | None = None


class Start(NamedTuple):
    """What an arm starts from: a batch whose episodes have just begun, and what was trained and found for it."""

    config: ExperimentConfig
    agents: Agents
    found: Mapping[str, Any]  # by name, see `Found`
    simulation: Simulation

    @property
    def n_terms(self) -> int:
        """Length of a mix."""
        return len(self.simulation.world.reward_terms)

    @property
    def equal(self) -> FloatArray:
        """The mix of equal weights, ``(n_terms,)``."""
        return np.full(self.n_terms, 1.0 / self.n_terms)

    def pair(self, setter: ContextSetter) -> Pair:
        """The lower agent under a context setter."""
        return self._pair(self.agents.lower.start(self.simulation.n_envs), setter)

    def unmixed(self, actor: Actor) -> Pair:
        """Another agent that acts each step, under an equal context that says nothing."""
        return self._pair(actor.start(self.simulation.n_envs), Held(self.equal))

    def _pair(self, acting: Acting, setter: ContextSetter) -> Pair:
        pair = Pair(self.simulation.world, acting, setter, lower_steps_per_window(self.config))
        pair.reset()
        return pair


def always(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """Asked for by all settings, and defined in all worlds."""
    return True


def no_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """What costs nothing to find."""
    return 0


def unchanged(env: EnvConfig) -> EnvConfig:
    """The world as it is configured."""
    return env


def no_algorithm(config: ExperimentConfig) -> str | None:
    """Of an arm that nothing was trained for."""
    return None


@dataclass(frozen=True)
class Found:
    """What is found for arms on selection seeds, before any evaluation seed is met; arms may share it.

    Attributes
    ----------
    name
        By which arms know it, and by which it is kept in the output folder.
    find
        From a selection and what was found before to an array, or to what others are found from.
    n_lower_steps
        Env steps that it takes.
    needs
        What must be found before.
    one_job
        Whether it is one stretch of work that runs beside others, rather than many candidates side by side.
    kept
        Whether it is written to the output folder: an array ``(...)``.
    fits
        Whether what was found in one world says anything in another.
    """

    name: str
    find: Callable[[Selection, Mapping[str, Any]], Any]
    n_lower_steps: Callable[[ExperimentConfig, WorldSpec], int] = no_steps
    needs: tuple[Found, ...] = ()
    one_job: bool = False
    kept: bool = True
    fits: Callable[[Array, WorldSpec], bool] = field(default=lambda value, spec: True)

    def with_needs(self) -> list[Found]:
        """It and all that must be found before it, in that order."""
        return [*(found for need in self.needs for found in need.with_needs()), self]


@dataclass(frozen=True)
class Arm:
    """Something that is compared. An entry in `hierarchy.arms.ARMS` adds one.

    Attributes
    ----------
    kind
        What sets the mix: a learned agent, the arm itself, an oracle; nothing (``unmixed``), or nothing is learned (``rule``).
    start
        The controller of a batch from the beginning of its episodes on; a function of a module, since it may run in another
        process.
    wanted
        Whether settings ask for it and the world can define it.
    needs
        What must be found for it.
    configured
        The world that it runs in.
    algorithm
        Name of the algorithm that its own agent was trained by.
    """

    kind: Kind
    start: Callable[[Start], Controller]
    wanted: Callable[[ExperimentConfig, WorldSpec], bool] = always
    needs: tuple[Found, ...] = ()
    configured: Callable[[EnvConfig], EnvConfig] = unchanged
    algorithm: Callable[[ExperimentConfig], str | None] = no_algorithm

    def all_needs(self) -> list[Found]:
        """What must be found for it, in order."""
        return [found for need in self.needs for found in need.with_needs()]
