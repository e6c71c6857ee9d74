"""How many units customers ask for in a step."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from envs.core.arrays import FloatArray, IntArray
from envs.core.validation import SettingError, check, setting


class Demand(Protocol):
    """A distribution over 0, 1, 2, ...: a frozen config, and an entry of :data:`DEMANDS`."""

    @property
    def name(self) -> str:
        """Of the distribution."""

    @property
    def probabilities(self) -> FloatArray:
        """Of 0, 1, 2, ... units, up to what is never exceeded ``(n_max + 1,)``."""


@dataclass(frozen=True)
class PoissonDemand:
    """Poisson demand, cut off where less than ``exp(-60)`` is left."""

    name: Literal["poisson"] = "poisson"
    """name of the distribution"""
    mean: float = setting(5.0, gt=0, le=10_000)
    """units that are asked for on average"""

    def __post_init__(self) -> None:
        check(self)

    @functools.cached_property
    def probabilities(self) -> FloatArray:
        """Chernoff: what exceeds the mean ``m`` by ``t`` has less than ``exp(-t^2 / (2 (m + t / 3)))``, for
        ``t = 12 sqrt(m) + 40`` less than ``exp(-60)``.
        """
        n_max = math.ceil(self.mean + 12.0 * math.sqrt(self.mean) + 40.0)
        log = [units * math.log(self.mean) - self.mean - math.lgamma(units + 1) for units in range(n_max + 1)]
        chances: FloatArray = np.exp(np.array(log))
        return chances


@dataclass(frozen=True)
class UniformDemand:
    """Whole units from `low` to `high`, all as likely."""

    name: Literal["uniform"] = "uniform"
    """name of the distribution"""
    low: int = setting(0, ge=0)
    """fewest units"""
    high: int = setting(10, ge=0, le=10_000)
    """most units"""

    def __post_init__(self) -> None:
        check(self)
        if self.high < self.low:
            raise SettingError("high", f">= low ({self.low})", self.high)

    @functools.cached_property
    def probabilities(self) -> FloatArray:
        """``1 / (high - low + 1)`` each."""
        return np.where(np.arange(self.high + 1) >= self.low, 1.0 / (self.high - self.low + 1), 0.0)


DEMANDS: dict[str, type] = {"poisson": PoissonDemand, "uniform": UniformDemand}
"""The distributions by name."""


def quantile(demand: Demand, share: float) -> int:
    """The fewest units that suffice with probability ``share`` at least."""
    return int(np.searchsorted(np.cumsum(demand.probabilities)[:-1], share))


def drawn(demand: Demand, uniform: FloatArray) -> IntArray:
    """Units asked for, by inversion of uniforms in [0, 1) of any shape."""
    units: IntArray = np.searchsorted(np.cumsum(demand.probabilities)[:-1], uniform, side="right")
    return units
