"""A bound on latency, at least cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.statistics import Statistics
from envs.core.validation import check, setting


@dataclass(frozen=True)
class Slo:
    """Minus the cost in $/h, and a price for a 95th percentile (or mean wait, if larger) above the bound."""

    name: Literal["slo"] = "slo"
    """name of the objective"""
    slo_ms: float = setting(500.0, gt=0)
    """bound on the 95th percentile of latency"""
    slo_price_usd_per_h: float = setting(5.0, ge=0)
    """price of exceeding the bound by its own size"""
    unit: ClassVar[str] = "$/h"

    def __post_init__(self) -> None:
        check(self)

    def __call__(self, statistics: Statistics) -> FloatArray:
        latency_ms = np.maximum(statistics["latency_p95_ms"], statistics["waiting_mean_ms"])
        excess = np.maximum(latency_ms / self.slo_ms - 1.0, 0.0)
        return -statistics["cost_usd_per_h"] - self.slo_price_usd_per_h * excess
