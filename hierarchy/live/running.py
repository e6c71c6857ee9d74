"""The control loop in time: steps at their instants, looks between them, and configured weights when nothing goes well."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from envs.core.validation import SettingError, check, setting
from envs.haproxy.balancer import Balancer
from envs.haproxy.config import HAProxyConfig
from envs.haproxy.runtime import RuntimeApiError
from hierarchy.live.controller import Controller, Decision
from hierarchy.live.pool import PoolConfig
from hierarchy.live.power import PowerConfig
from hierarchy.live.safety import Safety
from hierarchy.live.telemetry import TelemetryConfig
from hierarchy.live.watched import Watched

TINY = 1e-6
"""Of a step: instants that are so near to each other are one."""


@dataclass(frozen=True)
class LiveConfig:
    """How a real balancer is steered."""

    haproxy: HAProxyConfig = field(default_factory=HAProxyConfig)
    """the balancer"""
    safety: Safety = field(default_factory=Safety)
    """what weights are held against"""
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    """when the log is not believed"""
    power: PowerConfig = field(default_factory=PowerConfig)
    """what switches servers on and off"""
    pool: PoolConfig = field(default_factory=PoolConfig)
    """its servers, where they are others than in training"""
    ttl_s: float = setting(10.0, gt=0, le=86_400)
    """seconds without a decision after which the weights of HAProxy's configuration file come back"""
    slow_s: float | None = setting(None, gt=0, le=86_400)
    """seconds after which a decision is not written; half a step by default"""
    looks: int = setting(5, ge=1, le=1_000)
    """looks at HAProxy in a step, by which it is known how long requests were in flight"""

    def __post_init__(self) -> None:
        check(self)
        if self.haproxy.control and self.power.command:
            allowed = "[] where haproxy.control is given: servers without weight serve requests that are not steered"
            raise SettingError("power.command", allowed, self.power.command)

    def longest_s(self, dt_s: float) -> float:
        """How long a decision may take, in steps of ``dt_s``."""
        return dt_s / 2 if self.slow_s is None else self.slow_s


class Running:
    """Steers a balancer step by step.

    Parameters
    ----------
    controller, balancer
        What steers, and what is steered.
    config
        How.
    applies
        Whether weights are written: then the configured ones are put back at the end.
    tell
        Is told of every decision.
    now, sleep
        A clock that never goes back, and how to wait.
    watchdog
        Is told of every decision that was good, and whether the configured weights are back at the end.
    """

    def __init__(
        self,
        controller: Controller,
        balancer: Balancer,
        config: LiveConfig,
        applies: bool,
        tell: Callable[[Decision], None],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        watchdog: Watched | None = None,
    ) -> None:
        self._controller, self._balancer, self._config, self._applies = controller, balancer, config, applies
        self._tell, self._now, self._sleep, self._watchdog = tell, now, sleep, watchdog
        self._good_s = now()
        self._is_restored = False

    def run(self, n_steps: int | None = None) -> None:
        """Go on until an exception, such as an interrupt, or for so many steps; then put the configured weights back.

        Servers that were switched off are switched on then.
        """
        dt_s, n = self._balancer.config.dt_s, 0
        began_s = self._now()
        try:
            while n_steps is None or n < n_steps:
                self._step(began_s, dt_s)
                n_gone = int((self._now() - began_s) / dt_s + TINY)  # more than one if the step has taken too long
                began_s, n = began_s + max(n_gone, 1) * dt_s, n + 1
        finally:
            self._is_restored = False  # whatever was put back before, somebody may have set since
            self._restore()
            is_on = self._controller.power.all_on()
            if self._watchdog is not None:
                self._watchdog.is_done = self._is_restored and is_on

    def _step(self, began_s: float, dt_s: float) -> None:
        looks = self._config.looks
        for number in range(1, looks + 1):
            self._sleep(max(began_s + number * dt_s / looks - self._now(), 0.0))
            if number < looks:
                with suppress(RuntimeApiError):  # the step's end asks again, and says so
                    self._balancer.look()
        decision = self._controller.step()
        if not decision.held_because:
            self._good_s, self._is_restored = self._now(), False
            if self._watchdog is not None:
                self._watchdog.beat(self._controller.power.off)
        self._tell(decision)
        if decision.held_because and self._now() - self._good_s > self._config.ttl_s and not self._is_restored:
            self._restore()

    def _restore(self) -> None:
        """Put the weights of the configuration file back, where it can be reached."""
        if self._applies and self._balancer.seen is not None:
            with suppress(RuntimeApiError):
                self._balancer.restore()
                self._is_restored = True
