"""Cost, and a price for being late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from envs.core.arrays import FloatArray
from envs.core.statistics import Statistics
from envs.core.validation import check, setting


@dataclass(frozen=True)
class Frugal:
    """Minus the cost in $/h, and a price for the share of late requests."""

    name: Literal["frugal"] = "frugal"
    """name of the objective"""
    late_usd_per_h: float = setting(100.0, ge=0)
    """price of all requests being late"""
    unit: ClassVar[str] = "$/h"

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, statistics: Statistics) -> FloatArray:
        return -statistics["cost_usd_per_h"] - self.late_usd_per_h * statistics["late_share"]
