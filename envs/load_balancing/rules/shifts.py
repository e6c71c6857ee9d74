"""A switching rule that knows of shifts: which regimes there are, how long one lasts and which comes next.

Regime and stage are filtered from the arrivals of every step: a regime is a chain of stages, so together they are a hidden
Markov model with Poisson counts (Rabiner, "A tutorial on hidden Markov models", Proc. IEEE 1989; stages for lengths of time:
Cox, "A use of complex probabilities in the theory of stochastic processes", 1955).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.rules import Numbers, Trial
from envs.core.state import Tree
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.accounts import ARRIVED
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.autoscale import Switching, column
from envs.load_balancing.rules.foreseeing import MAX_AHEAD_S, Foreseeing, LookingAhead, day_of, later, swings_of

LEAST_RATE_HZ = 1e-6
LEAST_BELIEF = 1e-12
"""No regime is ever ruled out, or what comes as a surprise could never be believed."""
LEAST_TRUST = 0.01
MAX_STATES = 256
"""Regimes with more stages than that in all are taken to have fewer, and so to be less certain of length."""


class RegimeFilter:
    """Beliefs of a batch about the regime and its stage, ``(n_envs, R, K)`` for R regimes of K stages.

    Parameters
    ----------
    config
        The world: its regimes, their rates as configured, and its days.
    trust
        Power that the likelihood of a step's arrivals is taken to ``(n_envs,)``; below 1 where they spread more than
        Poisson counts do. Requests that come back are among them: a balancer can't tell.
    """

    def __init__(self, config: LoadBalancingConfig, trust: FloatArray) -> None:
        regimes, workload, n_envs = config.workload.regimes, config.workload, len(trust)
        self._dt_s, self._trust = config.dt_s, trust[:, None]
        share = regimes.interactive_share
        self._capacity = float(config.pool.capacity.sum())
        self._is_scaled = workload.rate_hz is None  # by the capacity that is there
        total = workload.regime_rates_hz(regimes.load, share, workload.mean_work_s, np.array(self._capacity))
        self._rates_hz = np.stack([total * share, total * (1.0 - share)], axis=-1)  # (R, C)
        self._log_rates = np.log(np.maximum(self._rates_hz, LEAST_RATE_HZ))
        self._swing, self._day_s = swings_of(config), day_of(config)
        n = regimes.n_regimes
        n_steps = regimes.mean_dwell_s / config.dt_s
        k = max(1, min(regimes.n_stages, MAX_STATES // n, int(n_steps)))
        self._moves = min(1.0, k / n_steps)  # probability that a stage ends in a step
        follows = np.eye(n)[(np.arange(n) + 1) % n]
        self._follows = follows if regimes.order == "turn" or n == 1 else (1.0 - np.eye(n)) / (n - 1)
        self._belief = np.full((n_envs, n, k), 1.0 / (n * k))  # uniform until something is counted
        self._counted = np.zeros((n_envs, len(CLASSES)))
        self._regimes_ahead: dict[bytes, FloatArray] = {}  # by how far is looked: most look as far every time

    def observe(self, measurements: Measurements) -> None:
        """Take in the arrivals of a step."""
        counted = measurements.counts[..., ARRIVED].astype(float)
        scale = measurements.capacity.sum(-1) / self._capacity if self._is_scaled else np.ones(len(counted))
        self.update(counted - self._counted, measurements.time_of_day, scale)
        self._counted = counted

    def update(self, arrived: FloatArray, time_of_day: FloatArray, scale: FloatArray) -> None:
        """Take in the requests of each class that came in a step ``(n_envs, C)``, which ended at a time of day, where rates
        are ``scale (n_envs,)`` times those of the pool as configured.
        """
        belief = self._step(self._belief)
        expected = scale[:, None] * self._season(time_of_day) @ self._rates_hz.T * self._dt_s  # (n_envs, R)
        likelihood = self._trust * (arrived @ self._log_rates.T - expected)  # but for what all regimes share
        belief *= np.exp(likelihood - likelihood.max(-1, keepdims=True))[..., None]
        belief /= belief.sum((1, 2), keepdims=True)
        self._belief = np.maximum(belief, LEAST_BELIEF, out=belief)

    def ahead(self, ahead_s: FloatArray, time_of_day: FloatArray) -> FloatArray:
        """The rates to expect in ``ahead_s (n_envs,)`` on the pool as configured, ``(n_envs, C)``."""
        then = later(time_of_day, ahead_s, self._day_s)
        rates: FloatArray = (self._regime_in(ahead_s) @ self._rates_hz) * self._season(then)
        return rates

    def reset(self, mask: BoolArray) -> None:
        """Nothing is known, and nothing counted, in ``mask (n_envs,)``."""
        self._belief[mask] = 1.0 / self._belief[0].size
        self._counted[mask] = 0.0

    def get_state(self) -> Tree:
        """What is believed, and what was counted."""
        return {"belief": self._belief.copy(), "counted": self._counted.copy()}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self._belief, self._counted = state["belief"].copy(), state["counted"].copy()

    def _season(self, time_of_day: FloatArray) -> FloatArray:
        """Of each class at a time of day ``(n_envs, C)``."""
        return 1.0 + np.sin(2.0 * math.pi * time_of_day)[:, None] * self._swing

    def _step(self, belief: FloatArray) -> FloatArray:
        """Beliefs ``(..., R, K)`` a step later, if nothing was seen: at most one stage ends."""
        moving = self._moves * belief
        later: FloatArray = belief - moving
        later[..., 1:] += moving[..., :-1]
        later[..., 0] += moving[..., -1] @ self._follows
        return later

    def _regime_in(self, ahead_s: FloatArray) -> FloatArray:
        """Probability of every regime in so many seconds ``(n_envs, R)``."""
        steps = np.rint(ahead_s / self._dt_s).astype(np.int64)
        regime: FloatArray = self._belief.sum(-1)
        if steps.any():
            if steps.tobytes() not in self._regimes_ahead:
                self._regimes_ahead[steps.tobytes()] = self._looked_ahead(steps)
            regime = (self._regimes_ahead[steps.tobytes()] @ self._belief.reshape(len(steps), -1, 1))[..., 0]
        return regime

    def _looked_ahead(self, steps: IntArray) -> FloatArray:
        """Probability of every regime in ``steps (n_envs,)``, given regime and stage now, ``(n_envs, R, R K)``."""
        n, k = self._belief.shape[1:]
        chain = self._step(np.eye(n * k).reshape(-1, n, k)).reshape(n * k, n * k)
        counts, place = np.unique(steps, return_inverse=True)
        to_regime = np.repeat(np.eye(n), k, axis=0)  # (R K, R)
        of_counts = np.stack([(np.linalg.matrix_power(chain, count) @ to_regime).T for count in counts])
        looked: FloatArray = of_counts[place]
        return looked


@dataclass(frozen=True)
class Shifts(LookingAhead):
    """Each class by itself, with demand scaled by what the shifts of the world let one expect."""

    knows: ClassVar[str] = "timetable"

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Where arrivals keep to the regimes; those of a recording don't, nor does what one of several balancers sees."""
        return not config.workload.arrivals.recorded and config.balancers.n == 1

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """Those of every rule that looks ahead, and how far arrivals are trusted."""
        drawn = super().suggest(trial, config)
        drawn["trust"] = trial.suggest_float("trust", LEAST_TRUST, 1.0, log=True)
        return drawn

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """Those of the switching rule with foresight of growth, and without, at the time that a server takes to start."""
        ahead_s = min(config.pool.boot_s, MAX_AHEAD_S)
        seen = [{"ahead_s": ahead_s, "foresight": up, "foresight_down": 0.0, "trust": 1.0} for up in (1.0, 0.0)]
        of_switching = super().first(config)
        return [{**numbers, **more} for more in seen for numbers in of_switching]

    def begin(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers]) -> Switching:
        return Foreseeing(config, self.groups, n_envs, values, RegimeFilter(config, column(values, "trust", n_envs)))
