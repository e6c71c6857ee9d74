"""Switching rules that turn careful when little is left of an error budget."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.rules import Numbers, Trial
from envs.core.state import Tree, restore, state_of
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.error_budget import ErrorBudget
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.autoscale import Autoscale, Switching, column
from envs.load_balancing.rules.demand import Groups
from envs.load_balancing.rules.foreseeing import Foreseeing
from envs.load_balancing.rules.shifts import RegimeFilter, Shifts

MOST_BELOW = 2.0
"""Where the number that says when to be careful is looked for, from 0 on."""


class _Watching(Switching):
    """Leaves all servers on while the share of the budget that is left is below `careful_below` times that of the day.

    At 1 the budget is to last for the day at an even pace; at 0 the rule is never careful.
    """

    def __init__(
        self, config: LoadBalancingConfig, groups: Groups, n_envs: int, values: Sequence[Numbers], *more: Any
    ) -> None:
        super().__init__(config, groups, n_envs, values, *more)
        assert config.error_budget is not None
        self._careful_below = column(values, "careful_below", n_envs)
        self._budget = ErrorBudget(config.error_budget, config.dt_s, n_envs)

    def reset(self, mask: BoolArray) -> None:
        super().reset(mask)
        self._budget.reset(mask)

    def decide(self, measurements: Measurements) -> FloatArray:
        self._budget.observe(measurements)
        weights = super().decide(measurements)
        careful = self._budget.left_share < self._careful_below * self._budget.day_left_share
        everywhere = np.maximum(measurements.capacity, 1e-6) * measurements.present
        chosen: FloatArray = np.where(careful[:, None, None], everywhere[:, None, :], weights)
        return chosen

    def get_state(self) -> Tree:
        return {**super().get_state(), "budget": state_of(self._budget)}

    def set_state(self, state: Tree) -> None:
        super().set_state(state)
        restore(self._budget, state["budget"])


class _WatchingShifts(_Watching, Foreseeing):
    """The same, with what shifts let one expect."""


@dataclass(frozen=True)
class Careful(Autoscale):
    """A switching rule with one number more, for who is held to an error budget."""

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Where there is a budget, and a balancer that counts all requests."""
        return config.error_budget is not None and config.balancers.n == 1 and super().suits(config)

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """Those of the switching rule, and when it turns careful."""
        return {**super().suggest(trial, config), "careful_below": trial.suggest_float("careful_below", 0.0, MOST_BELOW)}

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """Those of the switching rule, in turn careful at an even pace and never."""
        paces = itertools.cycle((1.0, 0.0))
        return [{**numbers, "careful_below": pace} for numbers, pace in zip(super().first(config), paces, strict=False)]

    def begin(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Switching:
        return _Watching(config, self.groups, n_envs, values)


class CarefulShifts(Careful, Shifts):
    """The same of the rule that knows of shifts."""

    def begin(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Switching:
        trusted = RegimeFilter(config, column(values, "trust", n_envs))
        return _WatchingShifts(config, self.groups, n_envs, values, trusted)
