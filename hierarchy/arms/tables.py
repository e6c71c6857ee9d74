"""Context setters that are told regimes."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.oracle import Oracle
from envs.core.state import Tree
from hierarchy.pair import ContextSetter, Window

UNKNOWN_REGIME = -1
"""Stands for the regime of the last window when there was none."""


def mixes_of(tables: FloatArray, regime: IntArray) -> FloatArray:
    """The mixes ``(n_envs, k)`` of regimes ``(n_envs,)``, equal weights where the regime is not known.

    ``tables`` are ``(n_regimes, k)`` for all envs, or ``(n_envs, n_regimes, k)``.
    """
    of_envs = np.broadcast_to(tables, (len(regime), *tables.shape[-2:]))
    mixes = of_envs[np.arange(len(regime)), regime]
    return np.where((regime >= 0)[:, None], mixes, 1.0 / tables.shape[-1])


class RegimeTable(ContextSetter):
    """A mix per regime, told the regime now."""

    def __init__(self, table: FloatArray) -> None:
        self.table = table

    def contexts(self, window: Window) -> FloatArray:
        return mixes_of(self.table, window.world.oracle.regime)


class DelayedTable(ContextSetter):
    """A mix per regime, told the regime that filled most of the last window."""

    def __init__(self, table: FloatArray, oracle: Oracle) -> None:
        self.table, self._oracle = table, oracle
        self._n_steps = np.zeros((len(oracle.regime), max(1, oracle.n_regimes)), np.int64)
        self._rows = np.arange(len(self._n_steps))

    def on_step(self) -> None:
        self._n_steps[self._rows, self._oracle.regime] += 1

    def contexts(self, window: Window) -> FloatArray:
        regime = np.where(self._n_steps.any(-1), self._n_steps.argmax(-1), UNKNOWN_REGIME)
        self._n_steps[:] = 0
        return mixes_of(self.table, regime)

    def reset(self, mask: BoolArray) -> None:
        self._n_steps[mask] = 0

    def get_state(self) -> Tree:
        return {"n_steps": self._n_steps.copy()}

    def set_state(self, state: Tree) -> None:
        self._n_steps[...] = state["n_steps"]
