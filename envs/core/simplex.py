"""Mixes: points of the simplex, weights >= 0 that sum to 1."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array, FloatArray


def to_simplex(action: Array) -> FloatArray:
    """Actions in [-1, 1] ``(..., k)`` to weights that sum to 1: ``(a + 1) / 2 + 1e-3``, normalised.

    Corners are reachable up to 1e-3, and nothing divides by zero.
    """
    weights = (np.clip(np.asarray(action, np.float64), -1.0, 1.0) + 1.0) / 2.0 + 1e-3
    result: FloatArray = weights / weights.sum(-1, keepdims=True)
    return result


def simplex_grid(n_terms: int, n_points: int) -> FloatArray:
    """All mixes ``(n, n_terms)`` whose weights are multiples of ``1 / (n_points - 1)``."""
    parts = n_points - 1
    axes = np.indices((n_points,) * n_terms).reshape(n_terms, -1).T
    grid: FloatArray = axes[axes.sum(-1) == parts] / parts
    return grid
