"""Where the contexts of a batch come from: one that is held, or contexts drawn from each env's own stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, StreamArray
from envs.core.context import ContextSampling, check_context
from envs.core.rng import CONTEXT, fill_uniform, next_u64


class ContextSource(Protocol):
    """Where the contexts ``context (n_envs, n_terms)`` of a batch come from."""

    context: FloatArray

    def begin(self, streams: StreamArray, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``."""

    def step(self, streams: StreamArray, running: BoolArray) -> None:
        """The envs in ``running (n_envs,)`` have moved, and been rewarded under the context before."""


class HeldContext:
    """A context that stays, ``(n_terms,)`` for all envs or ``(n_envs, n_terms)``.

    Raises
    ------
    ValueError
        Wrong length, a negative weight, or weights that do not sum to 1.
    """

    def __init__(self, context: Array, n_envs: int, term_names: Sequence[str]) -> None:
        self.context = check_context(context, n_envs, term_names)

    def begin(self, streams: StreamArray, mask: BoolArray) -> None: ...

    def step(self, streams: StreamArray, running: BoolArray) -> None: ...


class SampledContexts:
    """Contexts drawn from each env's own stream, equal until the first episode begins."""

    def __init__(self, sampling: ContextSampling, n_envs: int, n_terms: int) -> None:
        self._sampling = sampling
        self.context = np.full((n_envs, n_terms), 1.0 / n_terms)

    def begin(self, streams: StreamArray, mask: BoolArray) -> None:
        for env in np.flatnonzero(mask):
            self.context[env] = self._sampling.draw(self.context.shape[1], int(next_u64(streams[env, CONTEXT])))

    def step(self, streams: StreamArray, running: BoolArray) -> None:
        if self._sampling.switch_probability == 0:
            return
        draw = np.empty((len(streams), 1))
        fill_uniform(streams[:, CONTEXT], draw)
        self.begin(streams, running & (draw[:, 0] < self._sampling.switch_probability))
