"""What switching rules that look ahead have in common: demand scaled by how much arrivals are expected to grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.rules import Numbers, Trial
from envs.core.state import Tree
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.accounts import STEPS
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.autoscale import Autoscale, Switching, column
from envs.load_balancing.rules.demand import Groups

LEAST_WORK = 1e-9
"""Where less work than that comes in a second, nothing is known of growth: what still waits is all the demand there is."""
MAX_AHEAD_S = 60.0
MAX_POWER = 1.5


def day_of(config: LoadBalancingConfig) -> float | None:
    """Length of a day in seconds; None without days."""
    return getattr(config.workload.arrivals, "period_s", None)


def swings_of(config: LoadBalancingConfig) -> FloatArray:
    """How far rates of each class swing over the day around their mean, as a share of it ``(C,)``."""
    arrivals = config.workload.arrivals
    swing: FloatArray = getattr(arrivals, "amplitude", 0.0) * np.array([1.0, getattr(arrivals, "batch_swing", 1.0)])
    return swing


def later(time_of_day: FloatArray, seconds: FloatArray, day_s: float | None) -> FloatArray:
    """The time of day so many seconds later ``(n_envs,)``; the same where there are no days."""
    return time_of_day if day_s is None else (time_of_day + seconds / day_s) % 1.0


class Forecaster(Protocol):
    """Expects arrivals of a batch."""

    def observe(self, measurements: Measurements) -> None:
        """Take in a step."""

    def ahead(self, ahead_s: FloatArray, time_of_day: FloatArray) -> FloatArray:
        """The rates to expect in ``ahead_s (n_envs,)`` from a time of day ``(n_envs,)`` on, ``(n_envs, C)``."""

    def reset(self, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``."""

    def get_state(self) -> Tree: ...
    def set_state(self, state: Tree) -> None: ...


class Foreseeing(Switching):
    """Switches by the demand that it measures, scaled by how much arrivals are expected to grow.

    Numbers beside those of switching: `ahead_s`, how far it looks; `foresight`, the power that growth is taken to. Where
    arrivals are expected to shrink the power is `foresight_down`.
    """

    def __init__(
        self, config: LoadBalancingConfig, groups: Groups, n_envs: int, values: Sequence[Numbers], forecaster: Forecaster
    ) -> None:
        super().__init__(config, groups, n_envs, values)
        self._ahead_s = column(values, "ahead_s", n_envs)
        self._up_power = column(values, "foresight", n_envs)[:, None]
        self._down_power = column(values, "foresight_down", n_envs)[:, None]
        self._forecaster = forecaster

    def reset(self, mask: BoolArray) -> None:
        super().reset(mask)
        self._forecaster.reset(mask)

    def get_state(self) -> Tree:
        return {**super().get_state(), "forecast": self._forecaster.get_state()}

    def set_state(self, state: Tree) -> None:
        super().set_state(state)
        self._forecaster.set_state(state["forecast"])

    def _watched(self, measurements: Measurements, used: BoolArray) -> FloatArray:
        begun = measurements.sums[:, STEPS] > 0  # where nothing has run yet, that nothing came says nothing
        if begun.all():
            self._forecaster.observe(measurements)
        elif begun.any():
            self._forecaster.observe(measurements)
            self._forecaster.reset(~begun)
        now = super()._watched(measurements, used)
        expected = self._work_of_groups(measurements, self._ahead_s)
        current = self._work_of_groups(measurements, np.zeros_like(self._ahead_s))
        growth = np.maximum(np.divide(expected, current, out=np.ones_like(now), where=current > LEAST_WORK), 1e-9)
        scaled: FloatArray = now * growth ** np.where(growth > 1.0, self._up_power, self._down_power)
        return scaled

    def _work_of_groups(self, measurements: Measurements, ahead_s: FloatArray) -> FloatArray:
        """Seconds of work of every group that are expected to come in a second ``(n_envs, W)``."""
        return self._demand.work(self._forecaster.ahead(ahead_s, measurements.time_of_day))


@dataclass(frozen=True)
class LookingAhead(Autoscale):
    """A switching rule with foresight; who looks, and by what, its subclasses say."""

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """Those of the switching rule, how far it looks ahead, and the powers of expected growth and shrinking."""
        drawn = super().suggest(trial, config)
        drawn["ahead_s"] = trial.suggest_float("ahead_s", 0.0, MAX_AHEAD_S)
        drawn["foresight"] = trial.suggest_float("foresight", 0.0, MAX_POWER)
        drawn["foresight_down"] = trial.suggest_float("foresight_down", 0.0, MAX_POWER)
        return drawn
