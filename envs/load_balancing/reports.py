"""How servers report what is measured of them: at once and exactly, or late, noisily, with gaps."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import BoolArray, FloatArray32, StreamArray
from envs.core.rng import TELEMETRY, fill_normal, fill_uniform
from envs.core.state import Tree
from envs.load_balancing.config import Telemetry


class ServerReports:
    """Reports of the features of every server, `delay_steps` old.

    Parameters
    ----------
    telemetry
        What is wrong with them.
    features
        The features ``(n_envs, n_servers, 11)`` as they are, overwritten every step.

    Attributes
    ----------
    now
        The reports that are in ``(n_envs, n_servers, 11)``; the features themselves where telemetry is exact.
    """

    def __init__(self, telemetry: Telemetry, features: FloatArray32) -> None:
        self._telemetry, self._features = telemetry, features
        depth = 0 if telemetry.is_exact else telemetry.delay_steps + 1
        self._waiting = np.zeros((depth, *features.shape), np.float32)  # the oldest first
        self.now: FloatArray32 = self._waiting[0] if depth else features

    def reset(self, mask: BoolArray) -> None:
        """Forget the reports of the envs in ``mask (n_envs,)``: nothing has been measured yet."""
        self._waiting[:, mask] = 0.0

    def record(self, streams: StreamArray, moved: BoolArray) -> None:
        """The reports of a step of the envs in ``moved``: noise is added, lost ones repeat the last, and all wait."""
        if not len(self._waiting):
            return
        rows = np.flatnonzero(moved)
        fresh, drawn_from = self._features[rows], streams[rows, TELEMETRY]
        if self._telemetry.noise > 0:
            noise = np.empty((len(rows), fresh[0].size if len(rows) else 0))
            fill_normal(drawn_from, noise)
            fresh *= np.exp(self._telemetry.noise * noise).reshape(fresh.shape).astype(np.float32)
        if self._telemetry.loss > 0:
            draw = np.empty(fresh.shape[:2])
            fill_uniform(drawn_from, draw)
            lost = draw < self._telemetry.loss
            fresh[lost] = self._waiting[-1, rows][lost]
        streams[rows, TELEMETRY] = drawn_from
        self._waiting[:-1, rows] = self._waiting[1:, rows]
        self._waiting[-1, rows] = fresh

    def get_state(self) -> Tree:
        return {"waiting": self._waiting.swapaxes(0, 1).copy()}

    def set_state(self, state: Tree) -> None:
        self._waiting[...] = state["waiting"].swapaxes(0, 1)
