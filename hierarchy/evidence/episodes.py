"""What is recorded of an arm: an episode on every seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.statistics import Spread

BY_WINDOW = ("window_objective", "recorded_position", "contexts", "regimes", "observations", "features", "running")
"""What is recorded of every window and every seed."""


@dataclass(frozen=True)
class Episodes:
    """One arm over its seeds, and window by window what pictures need."""

    objective: FloatArray  # (n_seeds,)
    statistics: dict[str, FloatArray]  # name -> (n_seeds,)
    costs: dict[str, FloatArray]  # constraint -> (n_seeds,) means over the steps
    bounds: dict[str, float]  # of these, by constraint
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


def joined(parts: Sequence[Episodes]) -> Episodes:
    """Episodes of one arm over more seeds, recorded apart; what is of the first seed is that of the first part."""
    first = parts[0]

    def along(axis: int, name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values, axis=axis)

    spread = first.spread
    if spread is not None:
        spread = spread._replace(counts=np.sum([part.spread.counts for part in parts if part.spread is not None], axis=0))
    return replace(
        first,
        objective=along(0, "objective"),
        statistics={name: np.concatenate([part.statistics[name] for part in parts]) for name in first.statistics},
        costs={name: np.concatenate([part.costs[name] for part in parts]) for name in first.costs},
        **{name: along(1, name) for name in BY_WINDOW},
        spread=spread,
    )
