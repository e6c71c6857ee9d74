"""Global objectives: the upper agent's reward for a window, and what arms are compared by over an episode.

An objective is a frozen config that is callable on a world's named statistics; it never knows the context. A world's family
has a registry of them, and a composed world may bring any function of its statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from envs.core.arrays import FloatArray
from envs.core.statistics import Statistics


class Objective(Protocol):
    """A function of statistics to ``(n_envs,)``."""

    def __call__(self, statistics: Statistics) -> FloatArray: ...


class NamedObjective(Objective, Protocol):
    """A frozen config that is an objective, with what axes and tables call it."""

    unit: ClassVar[str]

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Satisfaction:
    """``1000 / (latency_ms + 1) - 0.1 * cost`` with cost in $/h; flows that still wait count."""

    name: Literal["satisfaction"] = "satisfaction"
    """name of the objective"""
    unit: ClassVar[str] = "1"

    def __call__(self, statistics: Statistics) -> FloatArray:
        return 1000.0 / (statistics["waiting_mean_ms"] + 1.0) - 0.1 * statistics["cost_usd_per_h"]


def name_of(objective: Any) -> str:
    """What an objective is called."""
    return str(getattr(objective, "name", "objective"))


def unit_of(objective: Any) -> str:
    """The unit of an objective."""
    return str(getattr(objective, "unit", "1"))


def is_mean_of_windows(objective: Any) -> bool:
    """Whether an objective of an episode is the mean of those of its windows, and says so."""
    return bool(getattr(objective, "is_mean_of_windows", False))


def evaluate(objective: Objective, statistics: Statistics) -> FloatArray:
    """The objective of each env, ``(n_envs,)``.

    Raises
    ------
    ValueError
        The world has no statistic that the objective needs.
    """
    try:
        return objective(statistics)
    except KeyError as missing:
        known = ", ".join(statistics)
        raise ValueError(
            f"objective must use statistics of this world ({known}), got {name_of(objective)!r}, which needs {missing}"
        ) from None
