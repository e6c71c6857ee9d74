"""Global objectives: what the upper agent is paid for a window, and what arms are compared by over an episode.

An objective is a function of a world's named statistics, sums over sums, and never sees the context. One entry in
:data:`OBJECTIVES` adds one; a world can also bring its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.reports import Reports, Statistics

if TYPE_CHECKING:
    from hierarchy.protocols import UpperAlgorithm

FloatArray = NDArray[np.float64]


def profit(statistics: Statistics, settings: UpperAlgorithm) -> FloatArray:
    """Value of answers in time, minus penalties for late and lost ones, minus server cost, in $/h."""
    earned = statistics["revenue_usd"] - statistics["penalty_usd"] - statistics["server_cost_usd"]
    return earned / np.maximum(statistics["duration_h"], 1e-12)


def satisfaction(statistics: Statistics, settings: UpperAlgorithm) -> FloatArray:
    """``1000 / (latency_ms + 1) - 0.1 * cost`` with cost in $/h; flows that still wait count."""
    return 1000.0 / (statistics["waiting_mean_ms"] + 1.0) - 0.1 * statistics["cost_usd_per_h"]


def slo(statistics: Statistics, settings: UpperAlgorithm) -> FloatArray:
    """Minus the cost in $/h, and a price for a 95th percentile (or mean wait, if larger) above the bound."""
    latency_ms = np.maximum(statistics["latency_p95_ms"], statistics["waiting_mean_ms"])
    excess = np.maximum(latency_ms / settings.slo_ms - 1.0, 0.0)
    return -statistics["cost_usd_per_h"] - settings.slo_price_usd_per_h * excess


class Objective(NamedTuple):
    """How an objective is computed, and its unit for axes and tables."""

    function: Callable[[Statistics, UpperAlgorithm], FloatArray]
    unit: str


OBJECTIVES: dict[str, Objective] = {
    "profit": Objective(profit, "$/h"),
    "satisfaction": Objective(satisfaction, "1"),
    "slo": Objective(slo, "$/h"),
}


def objective_of(settings: UpperAlgorithm, reports: Reports) -> Objective:
    """The objective that is configured, or else the world's own."""
    chosen = settings.objective or reports.objective
    if isinstance(chosen, str):
        return OBJECTIVES[chosen]
    own = chosen
    return Objective(lambda statistics, _: own(statistics), "1")


def objective_name(settings: UpperAlgorithm, reports: Reports) -> str:
    """What the objective is called."""
    chosen = settings.objective or reports.objective
    return chosen if isinstance(chosen, str) else "objective"


def objective(statistics: Statistics, settings: UpperAlgorithm, reports: Reports) -> FloatArray:
    """The objective of each env, ``(n_envs,)``.

    Raises
    ------
    ValueError
        The world has no statistic that the objective needs.
    """
    try:
        return objective_of(settings, reports).function(statistics, settings)
    except KeyError as missing:
        raise ValueError(
            f"upper.objective must use statistics of this world ({', '.join(statistics)}), "
            f"got {objective_name(settings, reports)!r}, which needs {missing}"
        ) from None
