"""A switching rule that looks ahead: Holt-Winters on the arrivals of each class.

Level, trend and a multiplicative season (Winters, "Forecasting sales by exponentially weighted moving averages", Management
Science 1960) are updated every step. The season is kept in bins of the day and begins as a sine, whose swing is one of the
numbers that are searched for: an engineer has seen days before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.rules import Numbers, Trial
from envs.core.state import Tree
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.autoscale import Switching, column
from envs.load_balancing.rules.foreseeing import MAX_AHEAD_S, Foreseeing, LookingAhead, day_of, later, swings_of

N_BINS = 24
"""Bins of a day."""
LEAST_SEASON = 0.05
"""A season below this share of the level says nothing about the level."""


class HoltWinters:
    """Forecasts of the rates of arrivals of a batch, ``(n_envs, C)``.

    Parameters
    ----------
    dt_s
        Seconds of a step.
    day_s
        Length of a day; None without days.
    level_s, trend_s
        Time constants of level and trend ``(n_envs,)``; a trend over an infinite time stays 0.
    season
        Share of a season that a day moves ``(n_envs,)``.
    swing
        Of the sine that the season begins as ``(n_envs, C)``.
    """

    def __init__(
        self,
        dt_s: float,
        day_s: float | None,
        level_s: FloatArray,
        trend_s: FloatArray,
        season: FloatArray,
        swing: FloatArray,
    ) -> None:
        self._dt_s, self._day_s = dt_s, day_s
        self._alpha = 1.0 - np.exp(-dt_s / level_s)[:, None]
        self._beta = 1.0 - np.exp(-dt_s / trend_s)[:, None]
        per_bin = 1.0 if day_s is None else max(day_s / N_BINS / dt_s, 1.0)  # steps that a bin is visited a day
        self._gamma = 1.0 - (1.0 - season[:, None]) ** (1.0 / per_bin)
        centres = 2.0 * math.pi * (np.arange(N_BINS) + 0.5) / N_BINS
        self._season = np.maximum(1.0 + swing[..., None] * np.sin(centres), LEAST_SEASON)  # (n_envs, C, N_BINS)
        self._level = np.zeros(swing.shape)
        self._trend = np.zeros(swing.shape)
        self._rows = np.arange(len(swing))
        self._first_season = self._season.copy()
        self._n_steps = np.zeros(len(swing), np.int64)

    def _seasonal(self, time_of_day: FloatArray) -> FloatArray:
        """The season at a time of day, between the centres of its bins, ``(n_envs, C)``."""
        if self._day_s is None:
            return np.ones(self._level.shape)
        at = time_of_day * N_BINS - 0.5
        low = np.floor(at)
        share = (at - low)[:, None]
        before = self._season[self._rows, :, low.astype(np.int64) % N_BINS]
        after = self._season[self._rows, :, (low.astype(np.int64) + 1) % N_BINS]
        return (1.0 - share) * before + share * after

    def observe(self, measurements: Measurements) -> None:
        """Take in the rates that were measured over the shortest span."""
        self.update(measurements.arrived_hz[..., 0], measurements.time_of_day)

    def update(self, rates: FloatArray, time_of_day: FloatArray) -> None:
        """Take in the rates of a step ``(n_envs, C)`` at a time of day ``(n_envs,)``."""
        season = self._seasonal(time_of_day)
        self._n_steps += 1
        alpha = np.maximum(self._alpha, 1.0 / self._n_steps[:, None])  # a young level is the mean of what there was
        level = alpha * rates / season + (1.0 - alpha) * (self._level + self._trend * self._dt_s)
        slope = np.where(self._n_steps[:, None] > 1, (level - self._level) / self._dt_s, 0.0)
        self._trend = self._beta * slope + (1.0 - self._beta) * self._trend
        self._level = np.maximum(level, 0.0)
        if self._day_s is not None:
            self._learn_season(rates, time_of_day)

    def _learn_season(self, rates: FloatArray, time_of_day: FloatArray) -> None:
        place = (time_of_day * N_BINS).astype(np.int64) % N_BINS
        seen = np.divide(rates, self._level, out=np.ones(rates.shape), where=self._level > 0)
        kept = self._season[self._rows, :, place]
        self._season[self._rows, :, place] = np.maximum(kept + self._gamma * (seen - kept), LEAST_SEASON)

    def ahead(self, ahead_s: FloatArray, time_of_day: FloatArray) -> FloatArray:
        """The rates to expect in ``ahead_s (n_envs,)``, ``(n_envs, C)``."""
        then = later(time_of_day, ahead_s, self._day_s)
        rates: FloatArray = np.maximum(self._level + self._trend * ahead_s[:, None], 0.0) * self._seasonal(then)
        return rates

    def reset(self, mask: BoolArray) -> None:
        """Nothing was learned in ``mask (n_envs,)``."""
        self._season[mask] = self._first_season[mask]
        self._level[mask], self._trend[mask], self._n_steps[mask] = 0.0, 0.0, 0

    def get_state(self) -> Tree:
        """What was learned."""
        learned = {"season": self._season, "level": self._level, "trend": self._trend, "n_steps": self._n_steps}
        return {name: array.copy() for name, array in learned.items()}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self._n_steps, self._season = state["n_steps"].copy(), state["season"].copy()
        self._level, self._trend = state["level"].copy(), state["trend"].copy()


@dataclass(frozen=True)
class Forecast(LookingAhead):
    """The same with demand scaled by how much arrivals are expected to grow until a server would have started."""

    knows: ClassVar[str] = "days"

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """Those of every rule that looks ahead, and those of Holt-Winters."""
        drawn = super().suggest(trial, config)
        drawn["level_s"] = trial.suggest_float("level_s", 1.0, 60.0, log=True)
        drawn["trend_s"] = trial.suggest_float("trend_s", 10.0, 1e4, log=True)
        drawn["season"] = trial.suggest_float("season", 0.0, 0.5)
        for name in CLASSES:
            drawn[f"swing_{name}"] = trial.suggest_float(f"swing_{name}", -1.0, 1.0)
        return drawn

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """Those of the switching rule with and without foresight, at the time that a server takes to start."""
        ahead_s = min(config.pool.boot_s, MAX_AHEAD_S)
        swings = zip(("swing_interactive", "swing_batch"), swings_of(config), strict=True)
        learns = {"ahead_s": ahead_s, "level_s": 10.0, "trend_s": 1e4, "season": 0.0}
        foreseen = {"foresight": 1.0, "foresight_down": 1.0, **{name: float(swing) for name, swing in swings}}
        plain = {"foresight": 0.0, "foresight_down": 0.0, "swing_interactive": 0.0, "swing_batch": 0.0}
        of_switching = super().first(config)
        return [{**numbers, **learns, **more} for more in (foreseen, plain) for numbers in of_switching]

    def begin(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Switching:
        forecast = HoltWinters(
            config.dt_s,
            day_of(config),
            column(values, "level_s", n_envs),
            column(values, "trend_s", n_envs),
            column(values, "season", n_envs),
            np.stack([column(values, f"swing_{name}", n_envs) for name in CLASSES], axis=-1),
        )
        return Foreseeing(config, self.groups, n_envs, values, forecast)
