"""The servers behind the balancer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError, check, setting
from envs.load_balancing.kernel.servers.state import Service

MAX_RATE_HZ = 1e3
"""Failures and slow-downs come at most once a millisecond per server, and last a millisecond at least."""
MIN_MEAN_S = 1e-3


@dataclass(frozen=True)
class ServerPool:
    """The servers behind the balancer; one entry per server in every list."""

    cores: list[int] = setting(default_factory=lambda: [4, 4, 2, 4], ge=1, le=1e6, n_min=1)
    """flows a server works on at full speed at once (workers under FCFS)"""
    speed: list[float] = setting(default_factory=lambda: [2.0, 1.0, 1.0, 0.5], ge=0, le=1e6)
    """seconds of work that one core does in a second; 0 is a server that never answers"""
    price_usd_per_h: list[float] = setting(default_factory=lambda: [3.00, 0.60, 0.12, 0.08], ge=0)
    """price of a fully used server"""
    memory_gb: list[float] = setting(default_factory=lambda: [16.0, 8.0, 4.0, 8.0], ge=0)
    """memory, shown to the agent with `ground_truth`"""
    service: Service = "ps"
    """ps shares the cores among all flows, fcfs serves `cores` flows and lets the others wait"""
    max_flows: int = setting(1024, ge=1, le=10_000_000)
    """flows a server holds, waiting ones included; the next one is rejected"""
    idle_share: float = setting(0.4, ge=0, le=1)
    """share of the price that an idle server costs"""
    boot_s: float = setting(15.0, ge=0)
    """seconds from starting a drained server until it serves"""
    min_billed_s: float = setting(60.0, ge=0)
    """least time a started server is paid for"""
    failure_rate_hz: float = setting(0.0, ge=0, le=MAX_RATE_HZ)
    """failures a second, per server"""
    repair_s: float = setting(30.0, ge=MIN_MEAN_S)
    """mean seconds until a failed server is back"""
    detection_s: float = setting(2.0, ge=0)
    """seconds until a balancer knows of a failure or a recovery; of several each takes any time up to twice that"""
    slowdown_rate_hz: float = setting(0.0, ge=0, le=MAX_RATE_HZ)
    """slow-downs a second, per server"""
    slowdown_s: float = setting(30.0, ge=MIN_MEAN_S)
    """mean seconds of a slow-down"""
    slowdown_factor: float = setting(0.4, ge=0, le=1)
    """speed during a slow-down, as a share of the nominal speed"""

    def __post_init__(self) -> None:
        check(self)
        for name in ("speed", "price_usd_per_h", "memory_gb"):
            if len(getattr(self, name)) != self.n_servers:
                raise SettingError(name, f"one entry per server ({self.n_servers})", getattr(self, name))
        if not any(self.speed):
            raise SettingError("speed", "> 0 for at least one server", self.speed)
        if self.max_flows < max(self.cores):
            raise SettingError("max_flows", f">= the largest of cores ({max(self.cores)})", self.max_flows)

    @property
    def n_servers(self) -> int:
        return len(self.cores)

    @property
    def capacity(self) -> FloatArray:
        """Nominal capacity per server ``(n_servers,)`` in seconds of work a second."""
        return np.asarray(self.cores, np.float64) * np.asarray(self.speed, np.float64)
