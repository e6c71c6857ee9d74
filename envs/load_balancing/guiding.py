"""Guiding a switching rule: how cautious it is.

An agent that starts from a rule need not learn what the rule does well. Caution shifts the thresholds of the rule, which
goes on acting in every step; so it is cheap to try, since a little more or less seldom starts a server. The mix leans on
caution by itself: there is more of it towards latency, and less towards cost.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray
from envs.core.state import Tree
from envs.load_balancing.actions import N_CAUTIONS, Weighting, nominal_action
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import RATE_SCALE_HZ
from envs.load_balancing.rules.base import AHEAD_S, base_rule, foresees, numbers_of
from envs.load_balancing.rules.shifts import RegimeFilter

TRUST = 0.9
"""In the arrivals of a step: they spread a little more than Poisson counts, since some come back."""


class Guiding(Weighting):
    """Makes weights of a rule that is made more or less cautious.

    An action lists how cautious the rule is with every group of classes that it watches, from the least to the most; in the
    middle it is as it is.

    Attributes
    ----------
    caution
        In force, of every group of classes that the rule watches ``(n_envs, n_groups)``; 1 is the rule's own.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        super().__init__(config, n_envs)
        self._rule = base_rule(config).start(config, n_envs, [numbers_of(config)])
        self._timetable = RegimeFilter(config, np.full(n_envs, TRUST)) if foresees(config) else None
        self._cautions = config.actions.max_caution ** np.linspace(-1.0, 1.0, N_CAUTIONS)
        self._nominal = nominal_action(config).astype(np.int64)
        self._standing = np.tile(self._nominal, (n_envs, 1))

    @property
    def caution(self) -> FloatArray:
        return self._rule.caution

    def reset(self, measurements: Measurements, mask: BoolArray) -> None:
        super().reset(measurements, mask)
        self._rule.reset(mask)
        if self._timetable is not None:
            self._timetable.reset(mask)
        self._standing[mask] = self._nominal

    def of_all(self, measurements: Measurements) -> FloatArray:
        """What the rule goes by, then what the timetable lets one expect, if there is one."""
        readings = self._rule.readings.reshape(measurements.n_envs, -1)
        if self._timetable is None:
            return readings
        ahead_s, now = np.ones(measurements.n_envs), measurements.time_of_day
        rates = [self._timetable.ahead(ahead_s * seconds, now) for seconds in AHEAD_S]
        return np.concatenate([readings, np.log1p(np.concatenate(rates, axis=1) / RATE_SCALE_HZ)], axis=1)

    def _requested(self, action: Array, measurements: Measurements, mix: Mapping[str, FloatArray]) -> FloatArray:
        if action.shape != self._standing.shape:
            raise ValueError(f"actions must have shape {self._standing.shape} (n_envs, n_groups), got {action.shape}")
        if action.min() < 0 or action.max() >= N_CAUTIONS:
            raise ValueError(f"actions must be cautions 0 to {N_CAUTIONS - 1}, got {action.min()} to {action.max()}")
        self._standing = np.where(self.due[:, None], action.astype(np.int64), self._standing)
        if self._timetable is not None:
            self._timetable.observe(measurements)
        self._rule.caution = self._cautions[self._standing] * self._leaning(mix)
        asked: FloatArray = (self._rule.decide(measurements) > 0).astype(float)
        return asked

    def _leaning(self, mix: Mapping[str, FloatArray]) -> FloatArray:
        """What the mix makes of caution ``(n_envs, 1)``, or ``(1,)`` where it says nothing of it."""
        none = np.zeros(1)
        towards: FloatArray = mix.get("latency", none) - mix.get("cost", none)
        return self._config.actions.lean ** towards[:, None]

    def get_state(self) -> Tree:
        timetable = {} if self._timetable is None else {"timetable": self._timetable.get_state()}
        return {**super().get_state(), **timetable, "standing": self._standing.copy(), "rule": self._rule.get_state()}

    def set_state(self, state: Tree) -> None:
        super().set_state(state)
        self._standing = state["standing"].copy()
        self._rule.set_state(state["rule"])
        if self._timetable is not None:
            self._timetable.set_state(state["timetable"])
