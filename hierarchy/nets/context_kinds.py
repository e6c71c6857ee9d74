"""Kinds of context, for what is measured in units of its spread; under some it is fifty times as large."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32, IntArray
from envs.core.simplex import simplex_grid

N_POINTS = 4
"""Kinds along an edge of the simplex."""


class ContextKinds:
    """The kind of a context is the nearest point of a simplex grid; there is one kind alone of contexts without terms."""

    def __init__(self, n_terms: int) -> None:
        self._grid = simplex_grid(n_terms, N_POINTS).astype(np.float32) if n_terms else np.zeros((1, 0), np.float32)

    def __len__(self) -> int:
        return len(self._grid)

    def of(self, contexts: FloatArray32 | FloatArray) -> IntArray:
        """The kind of each of ``contexts (n, n_terms)``."""
        nearest: IntArray = ((contexts[:, None] - self._grid) ** 2).sum(-1).argmin(-1)
        return nearest
