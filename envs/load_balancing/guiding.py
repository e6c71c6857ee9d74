"""Guiding a switching rule: leaving it as it is, or holding a plan in place of it.

An agent that starts from a rule need not learn what the rule does well. The rule goes on deciding in every step; as long as
a plan is held, its decisions are not followed.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray
from envs.core.state import Tree
from envs.load_balancing.actions import FOLLOW, Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import RATE_SCALE_HZ
from envs.load_balancing.plans import placed, plans
from envs.load_balancing.rules.autoscale import by_price
from envs.load_balancing.rules.base import AHEAD_S, base_rule, foresees, numbers_of
from envs.load_balancing.rules.shifts import RegimeFilter

TRUST = 0.9
"""In the arrivals of a step: they spread a little more than Poisson counts, since some come back."""


class Guiding(Weighting):
    """Makes weights of a rule, or of the plan that is held in place of it.

    An action ``(n_envs, 1)`` is 0 where the rule is followed, else the number of a plan of
    :func:`envs.load_balancing.plans.plans`, counted from 1.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        super().__init__(config, n_envs)
        n_servers = config.pool.n_servers
        self._rule = base_rule(config).begin(config, n_envs, [numbers_of(config)])
        self._timetable = RegimeFilter(config, np.full(n_envs, TRUST)) if foresees(config) else None
        self._plans = plans(n_servers, config.n_backends)
        self._held = np.full((n_envs, 1), FOLLOW)
        self._order = np.tile(np.arange(n_servers), (n_envs, 1))

    def reset(self, measurements: Measurements, mask: BoolArray) -> None:
        super().reset(measurements, mask)
        self._rule.reset(mask)
        if self._timetable is not None:
            self._timetable.reset(mask)
        self._held[mask] = FOLLOW
        order = by_price(measurements.price_usd_per_h, measurements.capacity, measurements.present)
        self._order[mask] = order[mask]

    def of_all(self, measurements: Measurements) -> FloatArray:
        """What the rule goes by, then what the timetable lets one expect, if there is one."""
        readings = self._rule.readings.reshape(measurements.n_envs, -1)
        if self._timetable is None:
            return readings
        ahead_s, now = np.ones(measurements.n_envs), measurements.time_of_day
        rates = [self._timetable.ahead(ahead_s * seconds, now) for seconds in AHEAD_S]
        return np.concatenate([readings, np.log1p(np.concatenate(rates, axis=1) / RATE_SCALE_HZ)], axis=1)

    def _requested(self, action: Array, measurements: Measurements) -> FloatArray:
        if action.shape != self._held.shape:
            raise ValueError(f"actions must have shape {self._held.shape} (n_envs, 1), got {action.shape}")
        if action.min() < 0 or action.max() > len(self._plans):
            raise ValueError(f"actions must be 0 to {len(self._plans)}, got {action.min()} to {action.max()}")
        self._held = np.where(self.due[:, None], action.astype(np.int64), self._held)
        if self._timetable is not None:
            self._timetable.observe(measurements)
        followed = self._rule.decide(measurements) > 0
        held = placed(self._plans[self._held[:, 0] - 1], self._order)
        asked: FloatArray = np.where(self._held[:, :, None] == FOLLOW, followed, held).astype(float)
        return asked

    def get_state(self) -> Tree:
        timetable = {} if self._timetable is None else {"timetable": self._timetable.get_state()}
        own = {"held": self._held.copy(), "order": self._order.copy(), "rule": self._rule.get_state()}
        return {**super().get_state(), **timetable, **own}

    def set_state(self, state: Tree) -> None:
        super().set_state(state)
        self._held, self._order = state["held"].copy(), state["order"].copy()
        self._rule.set_state(state["rule"])
        if self._timetable is not None:
            self._timetable.set_state(state["timetable"])
