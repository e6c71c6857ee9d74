"""When curves of learning have come to what they are held against, and stay there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from envs.core.arrays import FloatArray

SHARE = 0.95
SMOOTHED = 3
"""Evaluations that are averaged before they are held against a target."""


def end_of(curve: FloatArray) -> float:
    """The mean of the last eighth of values ``(n,)``."""
    return float(curve[-max(1, len(curve) // 8) :].mean())


def smoothed(values: FloatArray) -> FloatArray:
    """Means ``(n - 2,)`` of three evaluations of ``values (n,)`` in a row: one alone neither reaches nor misses."""
    smooth: FloatArray = sliding_window_view(values, min(SMOOTHED, len(values))).mean(-1)
    return smooth


def target_of(curves: Sequence[FloatArray], share: float = SHARE) -> float:
    """What all curves are held against: so far from the lowest begin to the highest end, the mean of the last eighth."""
    begin = min(float(curve[0]) for curve in curves)
    return begin + share * (max(map(end_of, curves)) - begin)


def stays_above(values: FloatArray, target: float) -> int | None:
    """The first evaluation from which on ``values (n,)``, averaged with those before it, stay at or above a target; None if
    they never do.
    """
    smooth = smoothed(values)
    below = np.flatnonzero(smooth < target)
    first = 0 if not len(below) else int(below[-1]) + 1
    return first + len(values) - len(smooth) if first < len(smooth) else None
