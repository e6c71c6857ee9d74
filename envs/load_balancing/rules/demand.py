"""What a switching rule watches: signals of demand, of all requests or of a class.

A signal is divided by the capacity that it is served with, so that one threshold says when more is needed and another when
less would do. The work of a request is the configured mean of its class: where worlds are drawn anew, an engineer knows no
better.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.recent import SPANS_S
from envs.load_balancing.measurements import Measurements

Signal = Literal["in_flight", "offered", "utilisation"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
"""Requests in flight, seconds of work that come in a second, capacity in use."""
Groups = tuple[tuple[int, ...], ...]
"""Classes that are watched together, W groups of them."""


class Demand:
    """Signals of demand of a batch, step by step.

    Parameters
    ----------
    config
        Settings of the world.
    groups
        The classes that are watched together, of each of W groups.
    signal, span
        What each env watches of each group, by its place in :data:`SIGNALS` and `SPANS_S`, ``(n_envs, W)``.
    """

    def __init__(self, config: LoadBalancingConfig, groups: Groups, signal: IntArray, span: IntArray) -> None:
        self._signal = signal
        self._members = np.array([[float(i in group) for i in range(len(CLASSES))] for group in groups])  # (W, C)
        self._work_s = self._members * config.workload.mean_work_s
        self._of_span = np.eye(len(SPANS_S))[span]  # (n_envs, W, R)
        self._keep = np.exp(-config.dt_s / np.asarray(SPANS_S))[span]
        self.busy = np.zeros(signal.shape)  # capacity in use, moving mean

    def measure(self, measurements: Measurements, used: BoolArray) -> FloatArray:
        """The signals now ``(n_envs, W)``, given the servers ``used (n_envs, W, n_servers)`` for each group."""
        busy = (measurements.utilisation * measurements.capacity)[:, None, :]
        self.busy = self._keep * self.busy + (1.0 - self._keep) * (busy * used).sum(-1)
        in_flight = measurements.in_flight @ self._members.T
        offered = np.einsum("wc,ecr,ewr->ew", self._work_s, measurements.arrived_hz, self._of_span)
        return np.choose(self._signal, (in_flight, offered, self.busy))

    def work(self, rates_hz: FloatArray) -> FloatArray:
        """Seconds of work a second of every group ``(n_envs, W)`` at rates of arrivals ``(n_envs, C)``."""
        work: FloatArray = rates_hz @ self._work_s.T
        return work
