"""What one would run without learning: nine balancing rules, each a dispatch rule of the kernel and a source of weights.

SED, weighted round robin, WCMP, leastconn and power of two choices get the true nominal capacities. Every rule learns of a
failure equally late, and none ever drains a server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.rng import Role
from envs.core.validation import build
from envs.load_balancing.config import DISPATCH_RULES, DispatchConfig, LoadBalancingConfig
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.state import n_present
from envs.load_balancing.world import LoadBalancing

BLACKOUT_S = 10.0
EXPIRY_S = 180.0
UPDATE_S = 1.0
ERROR_PENALTY = 1.0


class Weights(Protocol):
    """Says the dispatch weights ``(n_envs, n_servers)`` of the next step."""

    def __call__(self, world: LoadBalancing) -> FloatArray: ...


class Equal:
    """All weights 1."""

    def __call__(self, world: LoadBalancing) -> FloatArray:
        return np.ones((world.n_envs, world.config.pool.n_servers))


class Capacity:
    """Nominal capacities; a server without any keeps a token weight."""

    def __call__(self, world: LoadBalancing) -> FloatArray:
        return np.maximum(world.state.servers.capacity, 1e-6)


class Telemetry:
    """Weights from load reports, after gRFC A58: ``qps / (utilisation + penalty * errors / qps)``.

    Reports cover the last second. A server's weight is unknown until it has reported for 10 s without a gap (blackout) and
    when its last report with traffic is older than 180 s (expiry); unknown weights are the mean of the known ones.
    """

    def __init__(self, world: LoadBalancing) -> None:
        shape = (world.n_envs, world.config.pool.n_servers)
        self._steps_per_update = max(1, round(UPDATE_S / world.config.dt_s))
        self._step = 0
        self._answered = np.zeros(shape)
        self._busy = np.zeros(shape)
        self._weights = np.full(shape, np.nan)
        self._reporting_since_s = np.full(shape, np.nan)
        self._last_report_s = np.full(shape, -np.inf)
        self._lost = np.zeros(world.n_envs)

    def _update(self, world: LoadBalancing) -> None:
        now_s = self._step * world.config.dt_s
        answered = world.state.answered.astype(np.float64)
        period_s = self._steps_per_update * world.config.dt_s
        qps = (answered - self._answered) / period_s
        utilisation = self._busy / self._steps_per_update
        reported = (qps > 0) & (utilisation > 0)
        self._reporting_since_s = np.where(np.isnan(self._reporting_since_s) & reported, now_s, self._reporting_since_s)
        expired = now_s - self._last_report_s > EXPIRY_S
        self._reporting_since_s = np.where(expired & ~reported, np.nan, self._reporting_since_s)
        self._last_report_s = np.where(reported, now_s, self._last_report_s)
        lost = world.state.counts[..., accounts.LOST].sum(-1).astype(np.float64)
        eps = ((lost - self._lost) / period_s / n_present(world.state.servers))[:, None]
        fresh = np.divide(
            qps,
            utilisation + np.divide(ERROR_PENALTY * eps, qps, out=np.zeros_like(qps), where=reported),
            out=np.full_like(qps, np.nan),
            where=reported,
        )
        self._weights = np.where(reported, fresh, np.where(expired, np.nan, self._weights))
        self._answered, self._lost = answered, lost
        self._busy[:] = 0.0

    def __call__(self, world: LoadBalancing) -> FloatArray:
        if self._step:
            self._busy += world.utilisation
        if self._step and self._step % self._steps_per_update == 0:
            self._update(world)
        now_s = self._step * world.config.dt_s
        self._step += 1
        known = ~np.isnan(self._weights) & (now_s - self._reporting_since_s >= BLACKOUT_S)
        n_known = known.sum(-1, keepdims=True)
        mean = np.where(known, self._weights, 0.0).sum(-1, keepdims=True) / np.maximum(n_known, 1)
        return np.where(known, self._weights, np.where(n_known > 0, mean, 1.0))


@dataclass(frozen=True)
class Heuristic:
    """A rule: how a flow is dispatched, and where the weights come from."""

    dispatch: str
    weights: Callable[[LoadBalancing], Weights]


HEURISTICS: dict[str, Heuristic] = {
    "wrr": Heuristic("wrr", lambda world: Capacity()),
    "wcmp": Heuristic("weighted_random", lambda world: Capacity()),
    "lsq": Heuristic("sed", lambda world: Equal()),
    "sed": Heuristic("sed", lambda world: Capacity()),
    "leastconn": Heuristic("leastconn", lambda world: Capacity()),
    "power_of_two": Heuristic("power_of_two", lambda world: Capacity()),
    "peak_ewma": Heuristic("peak_ewma", lambda world: Equal()),
    "telemetry_wrr": Heuristic("wrr", Telemetry),
    "prequal": Heuristic("prequal", lambda world: Equal()),
}


def _dispatch(rule: str, settings: DispatchConfig) -> DispatchConfig:
    """The settings of a rule: those configured if they are of that rule, else its defaults."""
    return settings if settings.rule == rule else build(DISPATCH_RULES[rule], {})


def configured(name: str, config: LoadBalancingConfig) -> LoadBalancingConfig:
    """The world's config with the dispatch rule of a heuristic."""
    if name not in HEURISTICS:
        raise ValueError(f"heuristic must be one of {', '.join(HEURISTICS)}, got {name!r}")
    return replace(config, dispatch=_dispatch(HEURISTICS[name].dispatch, config.dispatch))


class Run:
    """One episode under a heuristic in all envs."""

    def __init__(self, name: str, config: LoadBalancingConfig, env_ids: Sequence[int], seed: int, role: Role) -> None:
        self.world = LoadBalancing(configured(name, config), env_ids, seed, role)
        self.world.reset_dynamics(np.ones(self.world.n_envs, np.bool_))
        self._weights = HEURISTICS[name].weights(self.world)

    def run(self, n_steps: int, last: bool) -> None:
        """Run ``n_steps`` more; the ``last`` ones of an episode settle the flows in flight."""
        for _ in range(n_steps):
            self.world.advance(self._weights(self.world))
        if last:
            self.world.settle(np.ones(self.world.n_envs, np.bool_))


RUNS: dict[str, Callable[[LoadBalancingConfig, Sequence[int], int, Role], Run]] = {
    name: partial(Run, name) for name in HEURISTICS
}
"""What begins an episode, by the name of the heuristic."""
