"""Potential-based shaping (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def shaping(before: FloatArray, after: FloatArray, gamma: float, terminated: NDArray[np.bool_]) -> FloatArray:
    """``gamma * potential(s') - potential(s)``, elementwise; a terminal state has potential 0.

    Added to every reward it leaves the order of policies as it was, whatever the potential.
    """
    return gamma * np.where(terminated, 0.0, after) - before
