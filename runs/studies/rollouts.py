"""What foresight would be worth: a planner that tries settings out in many futures of the present.

Every few seconds each of many settings is tried in some resampled futures: held for a while, with a rule going on after
it. The best few are tried again in many fresh futures. The best of them is taken until the next decision, if it is clearly
better than the rule by the standard error of the paired gain (rollouts over a base policy: Bertsekas, "Rollout Algorithms
for Discrete Optimization", 2013). The planner is told the regime, how far it has got, and the work that is left of requests
in flight, which no arm is; it is a lower bound of what can be gained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import envs
from envs.core.arrays import Array, FloatArray, IntArray
from envs.core.futures import branch, credited
from envs.core.rules import Controller
from envs.core.simulation import Simulation
from envs.core.state import restore, rows_of, state_of
from envs.core.validation import check, setting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.plans import placed, plans
from envs.load_balancing.rules.autoscale import by_price

MAX_ROWS = 512
"""Envs of a batch of futures: more would not fit into the processor's cache, let alone into memory."""


@dataclass(frozen=True)
class Horizon:
    """How far and how often the planner tries things out."""

    every_s: float = setting(10.0, gt=0)
    """seconds between two decisions"""
    hold_s: float = setting(20.0, gt=0)
    """seconds that a setting is held in a future"""
    ahead_s: float = setting(75.0, gt=0)
    """seconds of a future"""
    n_screened: int = setting(8, ge=2)
    """futures of every setting"""
    n_kept: int = setting(2, ge=1)
    """settings that are tried again"""
    n_futures: int = setting(64, ge=2)
    """futures of those: surges are rare, and a setting that no future punishes looks better than it is"""
    n_errors: float = setting(1.5, ge=0)
    """standard errors by which a setting must be ahead of the rule"""

    def __post_init__(self) -> None:
        check(self)


def settings_to_try(config: LoadBalancingConfig) -> FloatArray:
    """Settings of one env ``(n, n_backends, n_servers)``: capacities of the servers that a plan has on."""
    capacity, made = config.pool.capacity, plans(config.pool.n_servers, config.n_backends)
    order = by_price(np.asarray(config.pool.price_usd_per_h), capacity)
    on = placed(made, np.tile(order, (len(made), 1)))
    return np.where(on, np.maximum(capacity, 1e-6), 0.0)


class Planner:
    """A controller that plans over futures of the simulation that it controls.

    Parameters
    ----------
    config
        The world; its telemetry must be exact.
    simulation
        What is controlled: the planner looks at its state.
    rule
        The base policy, as it started in the simulation.
    start
        Starts the same rule in a batch of so many envs.
    horizon, seed
        How it plans, and what its futures are drawn from.
    """

    def __init__(
        self, config: LoadBalancingConfig, simulation: Simulation, rule: Controller, start: Any, horizon: Horizon, seed: int
    ) -> None:
        self._config, self._simulation, self._rule, self._start = config, simulation, rule, start
        self._horizon, self._seed = horizon, seed
        self._every = max(1, round(horizon.every_s / config.dt_s))
        self._hold = max(self._every, round(horizon.hold_s / config.dt_s))
        self._ahead = max(self._hold, round(horizon.ahead_s / config.dt_s))
        self._tried = settings_to_try(config)
        self._plan = np.full(simulation.n_envs, -1)  # the setting that is held; -1 follows the rule
        self._batches: dict[int, tuple[Simulation, Controller]] = {}
        self._step = 0

    def decide(self, measurements: Any) -> Array:
        """Dispatch weights ``(n_envs, n_backends, n_servers)``."""
        before = state_of(self._rule)
        followed = self._rule.decide(measurements)
        if self._step % self._every == 0:
            self._plan_anew(before)
        self._step += 1
        planned = self._plan[:, None, None] >= 0
        return np.where(planned, self._tried[np.maximum(self._plan, 0)], followed)

    def _plan_anew(self, rule: Any) -> None:
        horizon, decision = self._horizon, self._step // self._every
        n_tried = len(self._tried)
        for env in range(self._simulation.n_envs):
            everything = np.arange(-1, n_tried)
            screened = self._values(env, everything, horizon.n_screened, 2 * decision, rule)
            best = everything[1:][np.argsort(-(screened[1:] - screened[0]).mean(-1))[: horizon.n_kept]]
            again = self._values(env, np.array([-1, *best]), horizon.n_futures, 2 * decision + 1, rule)
            gain = again[1:] - again[0]
            mean, error = gain.mean(-1), gain.std(-1, ddof=1) / np.sqrt(horizon.n_futures)
            first = int(mean.argmax())
            self._plan[env] = best[first] if mean[first] > horizon.n_errors * error[first] else -1

    def _values(self, env: int, settings: IntArray, n_futures: int, draw: int, rule: Any) -> FloatArray:
        """The objective of settings, each in the same futures ``(n_settings, n_futures)``."""
        planned = np.repeat(settings, n_futures)
        futures = np.tile(np.arange(n_futures) + (env << 20), len(settings))
        values = np.concatenate(
            [
                self._values_of(env, planned[at : at + MAX_ROWS], futures[at : at + MAX_ROWS], draw, rule)
                for at in range(0, len(planned), MAX_ROWS)
            ]
        )
        return values.reshape(len(settings), n_futures)

    def _values_of(self, env: int, planned: IntArray, futures: IntArray, draw: int, rule: Any) -> FloatArray:
        simulation, controller = self._batch(len(planned))
        rows = np.full(len(planned), env)
        branch(self._simulation, simulation, rows, futures.tolist(), self._seed + draw)
        restore(controller, rows_of(rule, rows, self._simulation.n_envs))
        totals = simulation.totals()
        held, is_held = self._tried[np.maximum(planned, 0)], planned[:, None, None] >= 0
        for step in range(self._ahead):
            setting_now = controller.decide(simulation.measurements)
            if step < self._hold:
                setting_now = np.where(is_held, held, setting_now)
            simulation.advance(setting_now)
        return credited(simulation, totals)

    def _batch(self, n_envs: int) -> tuple[Simulation, Controller]:
        """A batch for so many futures; its episodes have no end."""
        if n_envs not in self._batches:
            config = self._config
            simulation = Simulation(envs.simulate(config, n_envs).world, 2**40)
            simulation.reset()
            self._batches[n_envs] = simulation, self._start(n_envs)
        return self._batches[n_envs]
