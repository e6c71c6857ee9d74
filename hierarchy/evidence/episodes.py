"""What is recorded of an arm: an episode on every seed."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.statistics import Spread


@dataclass(frozen=True)
class Episodes:
    """One arm over its seeds, and window by window what pictures need."""

    objective: FloatArray  # (n_seeds,)
    statistics: dict[str, FloatArray]  # name -> (n_seeds,)
    window_objective: FloatArray  # (n_windows, n_seeds)
    recorded_position: FloatArray | None  # (n_windows, n_seeds) in [0, 1) of a trace, when the window began
    contexts: FloatArray | None  # (n_windows, n_seeds, k); None without a hierarchy
    regimes: IntArray  # (n_windows, n_seeds) when the window began
    timeline: dict[str, FloatArray]  # name -> (n_windows,) of the first seed
    settings: FloatArray  # (n_windows, n) what was last set in the first seed's world
    spread: Spread | None  # of single answers, all seeds together
    observations: FloatArray32 | None  # (n_windows, n_seeds, n) of an upper agent as the window began, if asked for
    features: FloatArray32 | None  # the same in the units of their names
    running: BoolArray | None  # (n_windows, n_seeds) where an episode had not ended of itself then
