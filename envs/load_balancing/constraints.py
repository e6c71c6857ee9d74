"""Costs of the load-balancing world that can be bounded: a function each, and one entry in :data:`CONSTRAINTS`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.constraints import Constraint
from envs.core.terms import RewardTerm
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.accounts import LATE, LOST, REJECTED
from envs.load_balancing.measurements import Measurements


class Overload(RewardTerm):
    """1 in a step with a server above the level, in the mean of the steps of its span or since the reset; else 0."""

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        self._level = config.constraints.load_level
        self._n_steps = max(round(config.constraints.load_span_s / config.dt_s), 1)
        self._used = np.zeros((n_envs, self._n_steps, config.pool.n_servers))  # in the last steps, the oldest overwritten
        self._elapsed = np.zeros(n_envs, np.int64)

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None:
        self._used[mask] = 0.0
        self._elapsed[mask] = -1  # the reset is no step

    def extract(self, measurements: Measurements, moved: BoolArray) -> FloatArray:
        self._elapsed += moved
        stepped = np.flatnonzero(moved & (self._elapsed > 0))
        self._used[stepped, self._elapsed[stepped] % self._n_steps] = measurements.utilisation[stepped]
        load: FloatArray = self._used.sum(1) / self._elapsed.clip(1, self._n_steps)[:, None]
        over: FloatArray = (load.max(-1) > self._level).astype(float)
        return over


class Counted(RewardTerm):
    """Requests that were counted in some columns since the step before, those that an episode's end settles included."""

    def __init__(self, n_envs: int, *columns: int) -> None:
        self._columns, self._before = list(columns), np.zeros(n_envs)

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None:
        self._before[mask] = 0.0

    def extract(self, measurements: Measurements, moved: BoolArray) -> FloatArray:
        counted: FloatArray = measurements.counts[..., self._columns].sum((-1, -2)).astype(float)
        more, self._before = counted - self._before, counted
        return more


def arrived(measurements: Measurements) -> FloatArray:
    """Those that came."""
    return measurements.step.arrived


def spend(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """What the servers cost in the step, in $/h."""
    usd_per_h: FloatArray = measurements.step.cost_usd * (3600.0 / config.dt_s)
    return usd_per_h


MakeConstraint = Callable[[LoadBalancingConfig, int, float], Constraint]
"""Given settings, number of envs, and the bound."""

CONSTRAINTS: dict[str, MakeConstraint] = {
    "load": lambda config, n_envs, bound: Constraint(Overload(config, n_envs), bound),
    "late": lambda config, n_envs, bound: Constraint(Counted(n_envs, LATE), bound, arrived),
    "lost": lambda config, n_envs, bound: Constraint(Counted(n_envs, LOST, REJECTED), bound, arrived),
    "spend_usd_per_h": lambda config, n_envs, bound: Constraint(functools.partial(spend, config), bound),
}
"""By the name of the bound in the settings."""


def constraints(config: LoadBalancingConfig, n_envs: int) -> dict[str, Constraint]:
    """Those that the settings have bounds for."""
    bounds = {name: getattr(config.constraints, name) for name in CONSTRAINTS}
    return {name: CONSTRAINTS[name](config, n_envs, bound) for name, bound in bounds.items() if bound is not None}
