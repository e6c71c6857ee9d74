"""What the lower agent observes: of every server, and of all traffic. Rules and the upper agent are given the same."""

from __future__ import annotations

import math

import numpy as np
from gymnasium import spaces

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.kernel.reservoir import FEATURES
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rules.autoscale import READINGS
from envs.load_balancing.rules.base import AHEAD_S, base_rule, foresees

TIME_SCALE_S = 0.1
"""Times are shown as ``log(1 + t / 0.1 s)``: 10 ms is 0.1, 100 ms 0.7, 10 s 4.6."""
SWITCH_SCALE_S = 5.0
"""The time since a server was switched, and what of it is still billed, as ``log(1 + t / 5 s)``: 5 s is 0.7, 60 s 2.6."""
RATE_SCALE_HZ = 10.0
"""Rates are shown as ``log(1 + r / 10 Hz)``: 1 Hz is 0.1, 100 Hz 2.4."""
MEMORY_SCALE_GB = 16.0
CORES_SCALE = 8.0
CAPACITY_SCALE = 4.0
"""Nominal capacity is shown as ``log(1 + c / 4)``, c in seconds of work a second: 2 is 0.4, 8 is 1.1, 40 is 2.4."""
PRICE_SCALE_USD_PER_H = 0.25
"""The price of a server is shown as ``log(1 + p / 0.25 $/h)``: 0.1 $ is 0.3, 1 $ is 1.6, 5 $ is 3.0."""
RECENT: dict[str, float] = {
    f"{what}_{name}_{span_s:g}s": scale
    for what, scale in (("arrived", RATE_SCALE_HZ), ("latency", TIME_SCALE_S), ("unanswered", RATE_SCALE_HZ))
    for name in CLASSES
    for span_s in SPANS_S
}
"""What was measured of late of each class and span, with its scale, in the order of :func:`recent`."""
RECENT_SCALES = np.array(list(RECENT.values()))
CEILING = 20.0
DAY: tuple[str, ...] = ("day_sin", "day_cos")
"""Where a day stands, as a point of the circle; at its beginning where there are no days."""


def backend_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """The backends by the classes that they serve; the only one has no name."""
    return CLASSES if config.n_backends > 1 else ("",)


def feature_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of the features of one server, in order."""
    truth = ("memory", "cores") if config.telemetry.ground_truth else ()
    weights = _of_backends("weight", config)
    on_server = tuple(f"n_flow_on_{name}" for name in CLASSES)
    return (
        *FEATURES,
        *on_server,
        "utilisation",
        *truth,
        "capacity",
        "price",
        "since_switch",
        "still_billed",
        *weights,
        "active",
    )


def _of_backends(what: str, config: LoadBalancingConfig) -> tuple[str, ...]:
    return tuple(f"{what}_{name}" if name else what for name in backend_names(config))


def reading_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of what a guided rule goes by, in order; none where no rule is guided."""
    if config.actions.mode != "guided":
        return ()
    groups = base_rule(config).groups
    of_groups = [f"_{CLASSES[group[0]]}" if len(groups) > 1 else "" for group in groups]
    return tuple(f"{reading}{group}" for group in of_groups for reading in READINGS)


def expected_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of the rates that the timetable lets one expect, in order, where a rule is guided and there is one."""
    if config.actions.mode != "guided" or not foresees(config):
        return ()
    return tuple(f"expected_{name}_{ahead_s:g}s" for ahead_s in AHEAD_S for name in CLASSES)


def shared_names(config: LoadBalancingConfig) -> tuple[str, ...]:
    """Names of the features that belong to no server, in order."""
    return (*RECENT, *DAY, *reading_names(config), *expected_names(config))


def recent(measurements: Measurements) -> FloatArray:
    """Moving means of rates and latencies ``(n_envs, len(RECENT))``, in Hz and seconds."""
    means = (measurements.arrived_hz, measurements.latency_s, measurements.unanswered_hz)
    return np.concatenate([mean.reshape(measurements.n_envs, -1) for mean in means], axis=1)


def day(measurements: Measurements) -> FloatArray:
    """The time of day ``(n_envs, len(DAY))``."""
    angle = 2.0 * math.pi * measurements.time_of_day
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def observation_space(config: LoadBalancingConfig) -> spaces.Box:
    """The features of all servers, server by server, then those that they share; all 0 for an absent server.

    `envs.load_balancing.world.LoadBalancing` lists them index by index.
    """
    names = feature_names(config)
    high = np.full((config.pool.n_servers, len(names)), CEILING, np.float32)
    high[:, names.index("still_billed") + 1 :] = 1.0
    high[:, names.index("utilisation")] = 1.0
    shared = np.full(len(shared_names(config)), CEILING, np.float32)
    signed = slice(len(RECENT), len(RECENT) + len(DAY) + len(reading_names(config)))
    shared[signed] = 1.0
    low = np.zeros(len(shared), np.float32)
    low[signed] = -1.0
    of_servers = high.reshape(-1)
    return spaces.Box(
        np.concatenate([np.zeros_like(of_servers), low]), np.concatenate([of_servers, shared]), dtype=np.float32
    )


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
        self.feature_names, self.shared_names = feature_names(config), shared_names(config)

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
        """Fresh observations ``(n_envs, n_servers * n_features + n_shared)``."""
        of_servers = self._of_servers(measurements)
        out = np.concatenate([of_servers.reshape(len(of_servers), -1), self._shared(measurements)], axis=1)
        np.minimum(out, np.float32(CEILING), out=out)
        return out

    def _of_servers(self, measurements: Measurements) -> FloatArray32:
        """The features of every server ``(n_envs, n_servers, n_features)``."""
        reports = measurements.reports
        n_envs, n_servers, n_reported = reports.shape
        out = np.empty((n_envs, n_servers, len(self.feature_names)), np.float32)
        out[..., 0] = np.log1p(reports[..., 0])
        out[..., 1:n_reported] = np.log1p(reports[..., 1:] / np.float32(TIME_SCALE_S))
        at = n_reported + len(CLASSES)
        out[..., n_reported:at] = np.log1p(measurements.n_flows).swapaxes(1, 2)
        out[..., at] = np.minimum(measurements.utilisation, 1.0)
        at += 1
        if self._config.telemetry.ground_truth:
            out[..., at] = np.asarray(self._config.pool.memory_gb) / MEMORY_SCALE_GB
            out[..., at + 1] = measurements.cores / CORES_SCALE
            at += 2
        out[..., at] = np.log1p(measurements.capacity / CAPACITY_SCALE)
        out[..., at + 1] = np.log1p(measurements.price_usd_per_h / PRICE_SCALE_USD_PER_H)
        out[..., at + 2] = np.log1p(measurements.since_switch_s / SWITCH_SCALE_S)
        out[..., at + 3] = np.log1p(measurements.still_billed_s / SWITCH_SCALE_S)
        out[..., at + 4 : -1] = self._weighting.of_servers(measurements)
        out[..., -1] = ~measurements.known_down
        out[~measurements.present] = 0.0
        return out

    def _shared(self, measurements: Measurements) -> FloatArray32:
        """What belongs to no server ``(n_envs, n_shared)``."""
        scaled = np.log1p(recent(measurements) / RECENT_SCALES)
        own = self._weighting.of_all(measurements)
        return np.concatenate([scaled, day(measurements), own], axis=1).astype(np.float32)
