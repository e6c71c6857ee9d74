"""What an arm starts from: trained agents, what was found for it, and a batch whose episodes have just begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from envs.core.arrays import FloatArray
from envs.core.simulation import Simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.pair import ContextSetter, Held, Pair, equal_mix
from hierarchy.protocols import Acting, Actor


@dataclass(frozen=True)
class Agents:
    """What was trained: both levels of the hierarchy, and the agent without one if it is an arm."""

    lower: Actor | None = None
    upper: Actor | None = None
    flat: Actor | None = None


class Start(NamedTuple):
    """A batch at the beginning of its episodes, and what there is to run it with."""

    config: ExperimentConfig
    agents: Agents
    found: Mapping[str, Any]  # by name, see `hierarchy.arms.found.Found`
    simulation: Simulation

    @property
    def equal(self) -> FloatArray:
        """The mix of equal weights, ``(n_terms,)``."""
        return equal_mix(self.simulation.world)

    def pair(self, setter: ContextSetter) -> Pair:
        """The lower agent under a context setter."""
        assert self.agents.lower is not None
        return self._pair(self.agents.lower.start(self.simulation.n_rows), setter)

    def unmixed(self, actor: Actor) -> Pair:
        """Another agent in place of the lower one, under an equal context that says nothing."""
        return self._pair(actor.start(self.simulation.n_rows), Held(self.equal))

    def _pair(self, acting: Acting, setter: ContextSetter) -> Pair:
        pair = Pair(self.simulation.world, acting, setter, lower_steps_per_window(self.config))
        pair.reset()
        return pair
