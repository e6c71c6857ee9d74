"""What nobody can measure: the regime that a simulated world is in. For oracles and pictures only."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.core.arrays import FloatArray, IntArray


class Oracle:
    """Of a world without regimes and without a recording.

    Parameters
    ----------
    dynamics
        The simulated world.
    """

    def __init__(self, dynamics: Any) -> None:
        self.dynamics = dynamics

    @property
    def n_regimes(self) -> int:
        """Number of regimes; 0 in a world without."""
        return 0

    @property
    def regime(self) -> IntArray:
        """The regime now, ``(n_envs,)``."""
        return np.zeros(self.dynamics.n_envs, np.int64)

    @property
    def recorded_position(self) -> FloatArray | None:
        """How far into a recording each env is, ``(n_envs,)`` in [0, 1); None without one."""
        return None
