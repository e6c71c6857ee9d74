"""Contexts that an upper agent sets at the beginning of windows, as a source of them for a batch to learn in."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, StreamArray
from envs.core.world import World
from hierarchy.pair import ContextSetter, Window, equal_mix


class WindowContexts:
    """One context for every env from one window to the next; a :class:`envs.core.context_sources.ContextSource`.

    An action that lasts longer than the window in which it was decided is rewarded under the context that it was decided
    under; the next one is decided under the latest.

    Parameters
    ----------
    setter
        Who sets them.
    world
        What is measured.
    period
        Steps in a window.
    """

    def __init__(self, setter: ContextSetter, world: World, period: int) -> None:
        self._setter, self._world, self._period = setter, world, period
        self.context: FloatArray = np.tile(equal_mix(world), (world.dynamics.n_envs, 1))
        self._latest = self.context
        self._step, self._totals = 0, None

    def begin(self, streams: StreamArray, mask: BoolArray) -> None:
        """Episodes have begun in all envs: the first window does.

        Raises
        ------
        ValueError
            In some of them alone.
        """
        if not mask.all():
            raise ValueError("mask must be set for all envs, got some of them alone")
        self._setter.reset(mask)
        self._latest = np.tile(equal_mix(self._world), (len(mask), 1))
        self._step, self._totals = 0, None
        self._begin_window()
        self.context = self._latest

    def step(self, streams: StreamArray, running: BoolArray) -> None:
        """All envs have moved one step; in those of ``running`` the next action is decided now."""
        self._step += 1
        if self._step % self._period == 0:
            self._begin_window()
        self.context = np.where(running[:, None], self._latest, self.context)

    def _begin_window(self) -> None:
        measurements: Any = self._world.dynamics.measurements
        window = Window(self._world, measurements, self._totals, self._latest)
        self._latest = np.array(self._setter.contexts(window), np.float64)
        self._totals = self._world.statistics.totals(measurements)
