"""A world whose servers and mix drift: what is done about it as episodes begin, and before every step."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, new_arrays
from envs.core.numbers import numbers
from envs.core.state import Tree
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.drift import Drift, draw_phases, swing_speeds
from envs.load_balancing.kernel.state import State
from envs.load_balancing.params import set_rates


class Drifting:
    """Moves speeds and shares of a batch; the requests that come depend on nothing but the env and its time.

    Nominal capacities stay as they are, and so does what is measured of them: loads of regimes are shares of those.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        n_servers, n_regimes = config.pool.n_servers, config.workload.regimes.n_regimes
        self._config, self._numbers = config, numbers(config.drift)
        sizes = {"n_envs": n_envs, "n_swings": n_servers + 1, "n_servers": n_servers, "n_regimes": n_regimes}
        self._drift = new_arrays(Drift, sizes)

    def begin(self, state: State, mask: BoolArray) -> None:
        """Episodes begin in ``mask (n_envs,)``, in worlds that are drawn already."""
        self._drift.speed[mask] = state.servers.speed[mask]
        self._drift.interactive_share[mask] = state.source.interactive_share[mask]
        draw_phases(self._drift, state.streams, mask)
        began = np.zeros(len(mask))
        state.servers.speed[mask] = self._drift.speed[mask] * self._factors(began)[mask]
        self._shift(state, began, mask)

    def move(self, state: State, running: BoolArray) -> None:
        """Before a step of the envs in ``running (n_envs,)``."""
        if self._config.drift.speed > 0.0:
            swing_speeds(self._numbers, self._drift, state.servers, state.clock_s, running)
        self._shift(state, state.clock_s, running)

    def _swings(self, now_s: FloatArray) -> FloatArray:
        """Between -1 and 1, ``(n_envs, n_servers + 1)``."""
        swings: FloatArray = np.sin(2.0 * np.pi * (now_s[:, None] / self._config.drift.period_s + self._drift.phase))
        return swings

    def _factors(self, now_s: FloatArray) -> FloatArray:
        """On speeds, ``(n_envs, n_servers)``."""
        return 1.0 + self._config.drift.speed * self._swings(now_s)[:, :-1]

    def _shift(self, state: State, now_s: FloatArray, mask: BoolArray) -> None:
        """Shift shares where ``mask`` is set; rates follow, so that loads stay as they are."""
        if self._config.drift.interactive_share == 0.0:
            return
        drift, source = self._drift, state.source
        shift = self._config.drift.interactive_share * self._swings(now_s)[mask, -1:]
        source.interactive_share[mask] = (drift.interactive_share[mask] + shift).clip(0.0, 1.0)
        set_rates(self._config, source, state.servers.capacity, mask)

    def get_state(self) -> Tree:
        """Where swings stand."""
        return {name: array.copy() for name, array in self._drift._asdict().items()}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self._drift = Drift(**{name: np.array(state[name]) for name in Drift._fields})
