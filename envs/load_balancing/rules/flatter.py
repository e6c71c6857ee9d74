"""SED with one number: weights that are a power of nominal capacity.

Balancers that count their own requests alone all take the fastest server for empty; with a power below 1 each leaves it more
room for the requests of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.rules import Controller, Numbers, Trial
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.balancing import BalancingRule, Capacity
from envs.load_balancing.rules.each import start_each

LEAST, MOST = 0.2, 1.2
"""What a power is searched between; 1 is SED."""


class Powers(Capacity):
    """Weights of one balancer that are a power of nominal capacity: one for all envs, or one for each."""

    def __init__(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> None:
        super().__init__(config, n_envs)
        self._power = np.array([numbers["power"] for numbers in values])[:, None, None]

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, 1, n_servers)``."""
        weights: FloatArray = super().decide(measurements) ** self._power
        return weights


class Flatter(BalancingRule):
    """A rule whose weights are a power of nominal capacity."""

    has_numbers: ClassVar[bool] = True

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Where there are several balancers; what one number is worth to one that sees everything is another question."""
        return config.balancers.n > 1

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """SED itself, and half of the way to equal weights."""
        return [{"power": 1.0}, {"power": 0.5}]

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """The power."""
        return {"power": trial.suggest_float("power", LEAST, MOST)}

    def start(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers] = ()) -> Controller:
        """What sets the weights of a batch, with these numbers."""
        return start_each(Powers, config, n_envs, values)


SED_FLATTER = Flatter("sed", Capacity)
