"""What the lower agent observes of the servers: what they report, and the weights that it gave them."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from envs.core.arrays import BoolArray, FloatArray32
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.measurements import Measurements

TIME_SCALE_S = 0.1
"""Times are shown as ``log(1 + t / 0.1 s)``: 10 ms is 0.1, 100 ms 0.7, 10 s 4.6."""
MEMORY_SCALE_GB = 16.0
CORES_SCALE = 8.0
CAPACITY_SCALE = 4.0
"""Nominal capacity is shown as ``log(1 + c / 4)``, c in seconds of work a second: 2 is 0.4, 8 is 1.1, 40 is 2.4."""
PRICE_SCALE_USD_PER_H = 0.25
"""The price of a server is shown as ``log(1 + p / 0.25 $/h)``: 0.1 $ is 0.3, 1 $ is 1.6, 5 $ is 3.0."""
CEILING = 20.0


def feature_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of the features of one server, in order."""
    truth = ("memory", "cores", "utilisation") if config.telemetry.ground_truth else ()
    nominal = ("capacity", "price") if config.telemetry.nominal else ()
    return (*FEATURES, *truth, *nominal, "weight", "active")


def observation_space(config: LoadBalancingConfig) -> spaces.Box:
    """The features of all servers, server by server, ``(n_servers * n_features,)``; all 0 for an absent server.

    `envs.load_balancing.world.LoadBalancing` lists them index by index.
    """
    n_features = len(feature_names(config))
    high = np.full((config.pool.n_servers, n_features), CEILING, np.float32)
    high[:, -2:] = 1.0
    return spaces.Box(np.zeros(high.size, np.float32), high.reshape(-1), dtype=np.float32)


class ServerObservation:
    """Turns measurements into observations. Which servers are there is among the features, so no mask is added.

    Parameters
    ----------
    config
        Settings of the world.
    weighting
        Knows the relative weights in force.
    """

    carries_action_set = True

    def __init__(self, config: LoadBalancingConfig, weighting: Weighting) -> None:
        self._config, self._weighting = config, weighting
        self.feature_names = feature_names(config)

    @property
    def n_parts(self) -> int:
        """The servers."""
        return self._config.pool.n_servers

    @property
    def space(self) -> spaces.Box:
        """Of one env."""
        return observation_space(self._config)

    def before_reset(self, measurements: Measurements, mask: BoolArray) -> None: ...

    def extract(self, measurements: Measurements, moved: BoolArray) -> FloatArray32:
        """Fresh observations ``(n_envs, n_servers * n_features)``."""
        reports = measurements.reports
        n_envs, n_servers, n_measured = reports.shape
        out = np.empty((n_envs, n_servers, len(self.feature_names)), np.float32)
        out[..., 0] = np.log1p(reports[..., 0])
        out[..., 1:n_measured] = np.log1p(reports[..., 1:] / np.float32(TIME_SCALE_S))
        if self._config.telemetry.ground_truth:
            out[..., n_measured] = np.asarray(self._config.pool.memory_gb) / MEMORY_SCALE_GB
            out[..., n_measured + 1] = measurements.cores / CORES_SCALE
            out[..., n_measured + 2] = measurements.utilisation
        if self._config.telemetry.nominal:
            out[..., -4] = np.log1p(measurements.capacity / CAPACITY_SCALE)
            out[..., -3] = np.log1p(measurements.price_usd_per_h / PRICE_SCALE_USD_PER_H)
        out[..., -2] = self._weighting.relative
        out[..., -1] = ~measurements.known_down
        out[~measurements.present] = 0.0
        np.minimum(out, np.float32(CEILING), out=out)
        return out.reshape(n_envs, -1)
