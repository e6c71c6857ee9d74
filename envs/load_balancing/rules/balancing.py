"""Nine balancing rules with all servers on, each a dispatch rule of the kernel and a source of weights.

SED, weighted round robin, WCMP, leastconn and power of two choices get the true nominal capacities. Every rule learns of a
failure equally late, and none ever drains a server. All requests share one backend: a rule that tells no classes apart gains
nothing by counting them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.rules import MEASUREMENTS, Controller, Numbers, Trial
from envs.core.validation import build
from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig
from envs.load_balancing.kernel.accounts import LOST
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.each import alone, start_each
from envs.load_balancing.rules.settings import ruled

BLACKOUT_S = 10.0
EXPIRY_S = 180.0
UPDATE_S = 1.0
ERROR_PENALTY = 1.0


class Equal:
    """All weights 1."""

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None: ...

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, 1, n_servers)``."""
        return np.ones(measurements.capacity.shape)[:, None, :]


class Capacity:
    """Nominal capacities; a server without any keeps a token weight."""

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None: ...

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, 1, n_servers)``."""
        return np.maximum(measurements.capacity, 1e-6)[:, None, :]


class LoadReports:
    """Weights from load reports, after gRFC A58: ``qps / (utilisation + penalty * errors / qps)``.

    Reports cover the last second. A server's weight is unknown until it has reported for 10 s without a gap (blackout) and
    when its last report with traffic is older than 180 s (expiry); unknown weights are the mean of the known ones.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        shape = (n_envs, config.pool.n_servers)
        self._dt_s = config.dt_s
        self._steps_per_update = max(1, round(UPDATE_S / config.dt_s))
        self._step = 0
        self._answered = np.zeros(shape)
        self._busy = np.zeros(shape)
        self._weights = np.full(shape, np.nan)
        self._reporting_since_s = np.full(shape, np.nan)
        self._last_report_s = np.full(shape, -np.inf)
        self._lost = np.zeros(n_envs)

    def _update(self, measurements: Measurements) -> None:
        now_s = self._step * self._dt_s
        answered = measurements.answered.astype(np.float64)
        period_s = self._steps_per_update * self._dt_s
        qps = (answered - self._answered) / period_s
        utilisation = self._busy / self._steps_per_update
        reported = (qps > 0) & (utilisation > 0)
        self._reporting_since_s = np.where(np.isnan(self._reporting_since_s) & reported, now_s, self._reporting_since_s)
        expired = now_s - self._last_report_s > EXPIRY_S
        self._reporting_since_s = np.where(expired & ~reported, np.nan, self._reporting_since_s)
        self._last_report_s = np.where(reported, now_s, self._last_report_s)
        lost = measurements.counts[..., LOST].sum(-1).astype(np.float64)
        eps = ((lost - self._lost) / period_s / measurements.n_present)[:, None]
        fresh = np.divide(
            qps,
            utilisation + np.divide(ERROR_PENALTY * eps, qps, out=np.zeros_like(qps), where=reported),
            out=np.full_like(qps, np.nan),
            where=reported,
        )
        self._weights = np.where(reported, fresh, np.where(expired, np.nan, self._weights))
        self._answered, self._lost = answered, lost
        self._busy[:] = 0.0

    def decide(self, measurements: Measurements) -> FloatArray:
        """Dispatch weights ``(n_envs, 1, n_servers)``."""
        if self._step:
            self._busy += measurements.utilisation
        if self._step and self._step % self._steps_per_update == 0:
            self._update(measurements)
        now_s = self._step * self._dt_s
        self._step += 1
        known = ~np.isnan(self._weights) & (now_s - self._reporting_since_s >= BLACKOUT_S)
        n_known = known.sum(-1, keepdims=True)
        mean = np.where(known, self._weights, 0.0).sum(-1, keepdims=True) / np.maximum(n_known, 1)
        return np.where(known, self._weights, np.where(n_known > 0, mean, 1.0))[:, None, :]


@dataclass(frozen=True)
class BalancingRule:
    """A rule: how a flow is dispatched, and where the weights come from."""

    dispatch: str
    weights: Callable[[LoadBalancingConfig, int], Controller]
    has_numbers: ClassVar[bool] = False
    knows: ClassVar[str] = MEASUREMENTS
    is_oracle: ClassVar[bool] = False

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Everywhere."""
        return True

    def configured(self, config: LoadBalancingConfig) -> LoadBalancingConfig:
        """The world's config with the dispatch rule of this one and one backend for all requests, without samples."""
        if config.dispatch.rule != self.dispatch:
            config = replace(config, dispatch=build(DISPATCH_RULES[self.dispatch], {}))
        return ruled(config, backends="joint")

    def first(self, config: LoadBalancingConfig) -> Sequence[Numbers]:
        """It has no numbers."""
        return ()

    def suggest(self, trial: Trial, config: LoadBalancingConfig) -> dict[str, Any]:
        """It has no numbers."""
        return {}

    def start(self, config: LoadBalancingConfig, n_envs: int, values: Sequence[Numbers] = ()) -> Controller:
        """What sets the weights of a batch from the beginning of its episodes on."""
        return start_each(lambda config, n, values: self.weights(config, n), config, n_envs, values)


class OfAll(BalancingRule):
    """A rule of one balancer that has all requests, where several share them: what they lack is knowledge of each other."""

    knows: ClassVar[str] = "all balancers"
    is_oracle: ClassVar[bool] = True

    def suits(self, config: LoadBalancingConfig) -> bool:
        """Where there are several."""
        return config.balancers.n > 1

    def configured(self, config: LoadBalancingConfig) -> LoadBalancingConfig:
        """The world's config as the rule has it, with one balancer."""
        return alone(super().configured(config))


BALANCING: dict[str, BalancingRule] = {
    "wrr": BalancingRule("wrr", Capacity),
    "wcmp": BalancingRule("weighted_random", Capacity),
    "lsq": BalancingRule("sed", Equal),
    "sed": BalancingRule("sed", Capacity),
    "leastconn": BalancingRule("leastconn", Capacity),
    "power_of_two": BalancingRule("power_of_two", Capacity),
    "peak_ewma": BalancingRule("peak_ewma", Equal),
    "telemetry_wrr": BalancingRule("wrr", LoadReports),
    "prequal": BalancingRule("prequal", Equal),
}
"""The balancing rules by name."""
SED_GLOBAL = OfAll("sed", Capacity)
