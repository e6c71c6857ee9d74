"""What the lower agent sees of the servers: the reservoir's features, as good as the telemetry is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.rng import TELEMETRY, fill_normal, fill_uniform
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.reservoir import FEATURES

if TYPE_CHECKING:
    from envs.load_balancing.world import LoadBalancing

BoolArray = NDArray[np.bool_]
FloatArray32 = NDArray[np.float32]
IntArray = NDArray[np.int64]

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

    ====== ============================= ============================== =======
    index  name                          what, scaling                  range
    ====== ============================= ============================== =======
    0      n_flow_on                     flows in flight, log(1 + n)    0 to 20
    1-5    fct_*                         completion time, log, see here 0 to 20
    6-10   flow_duration_*               time in service, likewise      0 to 20
    11-13  memory, cores, utilisation    with `ground_truth` only       0 to 20
    next 2 capacity, price               with `nominal` only, log       0 to 20
    last-1 weight                        relative weight in force       0 to 1
    last   active                        1 unless known to be down      0 or 1
    ====== ============================= ============================== =======
    """
    n_features = len(feature_names(config))
    high = np.full((config.pool.n_servers, n_features), CEILING, np.float32)
    high[:, -2:] = 1.0
    return spaces.Box(np.zeros(high.size, np.float32), high.reshape(-1), dtype=np.float32)


class Observation:
    """Turns the state of a batch into observations; remembers old reports for telemetry that is late or lost.

    Which servers are there is among the features, so the valid actions need no mask of their own.
    """

    carries_action_set = True

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        self._config = config
        n_servers = config.pool.n_servers
        depth = config.telemetry.delay_steps + 1
        self._reports = np.zeros((depth, n_envs, n_servers, len(FEATURES)), np.float32)
        self._memory = np.asarray(config.pool.memory_gb) / MEMORY_SCALE_GB

    @property
    def space(self) -> spaces.Box:
        """Of one env."""
        return observation_space(self._config)

    def before_reset(self, dynamics: LoadBalancing, mask: BoolArray) -> None:
        """Forget the reports of the envs in ``mask (n_envs,)``: nothing has been measured yet."""
        self._reports[:, mask] = 0.0

    def extract(self, dynamics: LoadBalancing, moved: BoolArray) -> FloatArray32:
        """Fresh observations ``(n_envs, n_servers * n_features)``, once a step: it ages the reports of who moved."""
        if self._config.telemetry.is_exact:
            return self._scaled(dynamics, dynamics.state.features)
        self._take_in(dynamics, np.flatnonzero(moved))
        return self._scaled(dynamics, self._reports[0])

    def _take_in(self, dynamics: LoadBalancing, rows: IntArray) -> None:
        """The reports of a step: noise is added, lost ones repeat the last, and all wait `delay_steps`."""
        telemetry = self._config.telemetry
        fresh, streams = dynamics.state.features[rows], dynamics.streams[rows, TELEMETRY]
        if telemetry.noise > 0:
            noise = np.empty((len(rows), fresh[0].size if len(rows) else 0))
            fill_normal(streams, noise)
            fresh *= np.exp(telemetry.noise * noise).reshape(fresh.shape).astype(np.float32)
        if telemetry.loss > 0:
            draw = np.empty(fresh.shape[:2])
            fill_uniform(streams, draw)
            lost = draw < telemetry.loss
            fresh[lost] = self._reports[-1, rows][lost]
        dynamics.streams[rows, TELEMETRY] = streams
        self._reports[:-1, rows] = self._reports[1:, rows]
        self._reports[-1, rows] = fresh

    def _scaled(self, world: LoadBalancing, report: FloatArray32) -> FloatArray32:
        servers = world.state.servers
        n_envs, n_servers, n_measured = report.shape
        out = np.empty((n_envs, n_servers, len(feature_names(self._config))), np.float32)
        out[..., 0] = np.log1p(report[..., 0])
        out[..., 1:n_measured] = np.log1p(report[..., 1:] / np.float32(TIME_SCALE_S))
        if self._config.telemetry.ground_truth:
            out[..., n_measured] = self._memory
            out[..., n_measured + 1] = servers.cores / CORES_SCALE
            out[..., n_measured + 2] = world.utilisation
        if self._config.telemetry.nominal:
            out[..., -4] = np.log1p(servers.capacity / CAPACITY_SCALE)
            out[..., -3] = np.log1p(servers.price_usd_per_h / PRICE_SCALE_USD_PER_H)
        out[..., -2] = world.relative_weights
        out[..., -1] = ~servers.known_down
        out[~servers.present] = 0.0
        np.minimum(out, np.float32(CEILING), out=out)
        return out.reshape(n_envs, -1)
