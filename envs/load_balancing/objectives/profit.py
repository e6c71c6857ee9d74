"""What a pool earns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.statistics import Statistics


@dataclass(frozen=True)
class Profit:
    """Value of answers in time, minus penalties for late and lost ones, minus server cost, in $/h."""

    name: Literal["profit"] = "profit"
    """name of the objective"""
    unit: ClassVar[str] = "$/h"
    is_mean_of_windows: ClassVar[bool] = True

    def __call__(self, statistics: Statistics) -> FloatArray:
        earned = statistics["revenue_usd"] - statistics["penalty_usd"] - statistics["server_cost_usd"]
        return earned / np.maximum(statistics["duration_h"], 1e-12)
