"""Profit under an error budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.statistics import Statistics
from envs.core.validation import SettingError, check, setting
from envs.load_balancing.objectives.profit import Profit

ROUNDING = 1e-9
"""Of shares that are written as decimals: a tenth of a hundred is ten."""


@dataclass(frozen=True)
class Budget:
    """Profit in $/h, and a price for windows that are missed beyond the budget of a day.

    A window is missed if more requests of the dearest class become late in it than ``1 - quantile`` of those that come;
    one that still waits past its deadline is late, too. `share` of the windows of a day are to be kept. Those that need
    not be are the budget: missing them costs no more than profit says.
    """

    name: Literal["budget"] = "budget"
    """name of the objective"""
    share: float = setting(0.995, ge=0, lt=1)
    """of the windows of a day that are to be kept"""
    quantile: float = setting(0.95, gt=0, lt=1)
    """of the requests that come in a window, as many as are to be in time"""
    span_s: float = setting(10.0, gt=0)
    """length of a window"""
    day_s: float = setting(86_400.0, gt=0)
    """length of a day, after which there is a new budget"""
    overspent_usd: float = setting(0.02, ge=0)
    """price of a window that is missed beyond the budget"""
    unit: ClassVar[str] = "$/h"
    is_mean_of_windows: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self)
        if self.day_s < self.span_s:
            raise SettingError("day_s", f">= span_s ({self.span_s:g})", self.day_s)

    @property
    def n_windows(self) -> int:
        """Of a day."""
        return round(self.day_s / self.span_s)

    @property
    def n_allowed(self) -> int:
        """Windows of a day that may be missed."""
        return math.floor((1.0 - self.share) * self.n_windows + ROUNDING)

    def __call__(self, statistics: Statistics) -> FloatArray:
        overspent_usd = self.overspent_usd * statistics["windows_overspent"]
        return Profit()(statistics) - overspent_usd / np.maximum(statistics["duration_h"], 1e-12)
