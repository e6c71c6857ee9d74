"""Mixes: points of the simplex, weights >= 0 that sum to 1, and actions in a cube that stand for them."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array, FloatArray

SCALE = 0.75
"""Actions are stretched by this before they are projected.

It decides how far from its border the cube reaches a corner, at |a| >= 1 / (2 SCALE), and how much of it does; of uniform
actions in three dimensions:

=====  ========  ========  =======  ============================
scale  interior  an edge   corner   a corner is reached at |a| =
=====  ========  ========  =======  ============================
0.5    75 %      25 %      0 %      1, where tanh is saturated
0.75   45 %      52 %      4 %      0.67
1      28 %      59 %      13 %     0.5
2      8 %       50 %      42 %     0.25
=====  ========  ========  =======  ============================

At 0.75 nearly half of the cube is left to mixes of all terms, a corner is 0.8 before tanh, and noise of 0.2 gives a weight a
spread of 0.12.
"""


def to_simplex(action: Array) -> FloatArray:
    """Actions in [-1, 1] ``(..., k)`` to weights that sum to 1: the mix nearest to ``SCALE * action``.

    The Euclidean projection in closed form (Duchi et al., "Efficient projections onto the l1-ball for learning in high
    dimensions", ICML 2008, figure 1). No point is singular: mixes are never further apart than ``SCALE`` times their
    actions. All corners and edges are reached exactly.
    """
    point = SCALE * np.clip(np.asarray(action, np.float64), -1.0, 1.0)
    ordered = -np.sort(-point, -1)
    levels = (ordered.cumsum(-1) - 1.0) / np.arange(1, point.shape[-1] + 1)
    last = (ordered > levels).sum(-1, keepdims=True) - 1  # of the weights > 0
    result: FloatArray = np.maximum(point - np.take_along_axis(levels, last, -1), 0.0)
    return result


def to_contexts(action: Array, n_contexts: int) -> FloatArray:
    """Actions ``(n_envs, n_contexts * k)`` to mixes: one for all agents of an env ``(n_envs, k)``, or more, one for each
    ``(n_envs, n_contexts, k)``.
    """
    return to_simplex(action if n_contexts == 1 else action.reshape(len(action), n_contexts, -1))


def to_action(weights: FloatArray) -> FloatArray:
    """An action that stands for a mix ``(..., k)``, well inside of the cube: ``to_simplex(to_action(w)) == w``."""
    action: FloatArray = (weights - 0.5) / SCALE
    return action


def draw_action(weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Any of the actions ``(k,)`` that stand for a mix ``(k,)``: all weights raised alike, those of 0 lowered at will."""
    without = weights <= 0
    lowest = -SCALE - (0.0 if without.any() else weights.min())
    level = rng.uniform(lowest, SCALE - weights.max())
    return np.where(without, rng.uniform(-1.0, max(-1.0, level / SCALE), len(weights)), (weights + level) / SCALE)


def simplex_grid(n_terms: int, n_points: int) -> FloatArray:
    """All mixes ``(n, n_terms)`` whose weights are multiples of ``1 / (n_points - 1)``."""
    parts = n_points - 1
    axes = np.indices((n_points,) * n_terms).reshape(n_terms, -1).T
    grid: FloatArray = axes[axes.sum(-1) == parts] / parts
    return grid
