"""Potential-based shaping (Ng, Harada and Russell, "Policy invariance under reward transformations", ICML 1999)."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.terms import Function, RewardTerm


def shaping(before: FloatArray, after: FloatArray, gamma: float, terminated: BoolArray) -> FloatArray:
    """``gamma * potential(s') - potential(s)``, elementwise; a terminal state has potential 0.

    Added to every reward it leaves the order of policies as it was, whatever the potential.
    """
    return gamma * np.where(terminated, 0.0, after) - before


class Shaping(RewardTerm):
    """Shaping as a term, 0 at a reset; for worlds whose episodes end by a time limit only.

    Parameters
    ----------
    potential
        Function of the measurements to ``(n_envs,)``.
    gamma
        Discount per step.
    """

    def __init__(self, potential: Function, gamma: float) -> None:
        self._potential, self._gamma = potential, gamma
        self._before = np.zeros(0)  # (n_envs,) nan at the beginning of an episode

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        self._before = np.where(mask, np.nan, self._before if len(self._before) else np.nan)

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray:
        now = self._potential(measurements)
        begins = np.isnan(self._before)
        gained = np.where(begins, 0.0, shaping(self._before, now, self._gamma, np.zeros(len(now), np.bool_)))
        self._before = np.where(moved, now, self._before)
        return gained
