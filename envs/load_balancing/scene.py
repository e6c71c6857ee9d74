"""What a picture of a pool shows: its servers, their weights and loads, and what is in the system."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.scene import Gauge, Part, Scene
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import backend_names

FULL_QUEUE = 64.0
"""Requests at which the bar of a server is full; bars of requests are logarithmic."""
FULL_SYSTEM = 512.0
"""The same for the pool."""


def scene(config: LoadBalancingConfig, measurements: Measurements, setting: FloatArray, env: int) -> Scene:
    """The pool of an env now, as it is measured."""
    step = measurements.step
    on_servers = measurements.feature("n_flow_on")[env]
    weights = setting[env].reshape(config.n_backends, config.pool.n_servers)
    names = [f"weight {name}".strip() for name in backend_names(config)]
    servers = tuple(
        Part(
            f"server {server}",
            _state(measurements, env, server, float(weights[:, server].max()), int(on_servers[server])),
            (
                *(Gauge(name, float(w), f"{w:.2f}") for name, w in zip(names, weights[:, server], strict=True)),
                Gauge("utilisation", float(step.utilisation[env, server]), f"{step.utilisation[env, server]:.0%}"),
                _requests("in flight", on_servers[server], FULL_QUEUE),
            ),
        )
        for server in range(config.pool.n_servers)
    )
    queues = [_requests(f"{name} in flight", measurements.in_flight[env, i], FULL_SYSTEM) for i, name in enumerate(CLASSES)]
    cost_usd_per_h, most = float(step.cost_usd[env]) * 3600.0 / config.dt_s, float(measurements.max_cost_usd_per_h[env])
    cost = Gauge("cost", cost_usd_per_h / most if most > 0 else 0.0, f"{cost_usd_per_h:.2f} $/h")
    return Scene(servers, (*queues, cost))


def team_scene(config: LoadBalancingConfig, measurements: Any, setting: FloatArray, env: int) -> Scene:
    """The pool that a team serves; a server's weights are the means of what the balancers give it."""
    n = config.balancers.n
    mean = setting.reshape(len(setting), n, -1).mean(1)
    return scene(config, measurements.pooled, mean, env)


def _requests(name: str, n: float, full: float) -> Gauge:
    return Gauge(name, min(float(np.log1p(n) / np.log1p(full)), 1.0), f"{n:.0f}")


def _state(measurements: Measurements, env: int, server: int, weight: float, n_requests: int) -> str:
    """In a word; a server that boots is on, since nothing measures that it does not answer yet."""
    if not measurements.present[env, server]:
        return "absent"
    if measurements.known_down[env, server]:
        return "failed"
    if weight > 0:
        return "on"
    return "draining" if n_requests else "off"
