"""What is left of an error budget and of its day, by what is measured; and the statistics that have it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree, restore, state_of
from envs.core.statistics import Spread, Statistics, WindowStatistics, exogenous_names
from envs.load_balancing.kernel.accounts import ARRIVED, LATE, STEPS
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.objectives.budget import ROUNDING, Budget

DEAREST = 0
"""The class whose requests are held against their deadline."""
OBSERVED = ("budget_left_share", "day_left_share")
METRICS = ("windows_missed_share", "windows_overspent")
TIMELINE = ("budget_left_share",)
"""What statistics have beside those of a world without a budget; metrics stand before those in tables."""


class ErrorBudget:
    """Counts windows and those that were missed.

    It reads how many steps an episode has had off the measurements, and must be shown every one of them.

    Attributes
    ----------
    windows, missed
        Of the day ``(n_envs,)``.
    sums
        Windows, those missed, and those missed beyond the budget, since the reset ``(n_envs, 3)``.
    """

    def __init__(self, budget: Budget, dt_s: float, n_envs: int) -> None:
        self._budget, self._n_steps = budget, max(round(budget.span_s / dt_s), 1)
        self._began = np.zeros(n_envs)  # steps of the episode as the window began
        self._counted = np.zeros((n_envs, 2))  # requests that came and were late until then
        self.windows, self.missed = np.zeros(n_envs), np.zeros(n_envs)
        self.sums = np.zeros((n_envs, 3))

    def reset(self, mask: BoolArray) -> None:
        """Episodes begin in ``mask (n_envs,)``."""
        for array in (self._began, self._counted, self.windows, self.missed, self.sums):
            array[mask] = 0.0

    def observe(self, measurements: Measurements) -> None:
        """Take in a step, or nothing if there was none."""
        elapsed = measurements.sums[:, STEPS]
        over = elapsed - self._began >= self._n_steps
        if over.any():
            self._end_window(measurements, elapsed, over)

    def _end_window(self, measurements: Measurements, elapsed: FloatArray, over: BoolArray) -> None:
        counted = measurements.counts[:, DEAREST][:, [ARRIVED, LATE]].astype(float)
        arrived, late = (counted - self._counted).T
        missed = over & (late > (1.0 - self._budget.quantile) * arrived + ROUNDING)
        self.windows += over
        self.missed += missed
        beyond = missed & (self.missed > self._budget.n_allowed)
        self.sums += np.stack([over, missed, beyond], axis=-1)
        ended = self.windows >= self._budget.n_windows
        self.windows[ended], self.missed[ended] = 0.0, 0.0
        self._began[over], self._counted[over] = elapsed[over], counted[over]

    @property
    def left_share(self) -> FloatArray:
        """Of the budget ``(n_envs,)``; 0 once it is overspent."""
        left: FloatArray = 1.0 - self.missed / max(self._budget.n_allowed, 1)
        return left.clip(0.0)

    @property
    def day_left_share(self) -> FloatArray:
        """Of the day ``(n_envs,)``, window by window."""
        return 1.0 - self.windows / self._budget.n_windows


class BudgetTotals(NamedTuple):
    """What adds up since the reset."""

    of_world: Any
    sums: FloatArray  # (n_envs, 3), see `ErrorBudget.sums`

    @property
    def times(self) -> FloatArray:
        """Of the world."""
        times: FloatArray = self.of_world.times
        return times

    @property
    def histogram(self) -> FloatArray:
        """Of the world."""
        histogram: FloatArray = self.of_world.histogram
        return histogram


class BudgetStatistics:
    """Statistics of a world, with what was missed, and what is left of the budget and the day at the end of a stretch."""

    def __init__(self, statistics: WindowStatistics, budget: ErrorBudget) -> None:
        self._of_world, self.budget = statistics, budget
        self.metric_names = (*METRICS, *statistics.metric_names)
        self.observed_names = (*statistics.observed_names, *OBSERVED)
        self.timeline_names = (*statistics.timeline_names, *TIMELINE)
        self.exogenous_names = exogenous_names(statistics)

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        self._of_world.before_reset(measurements, mask)
        self.budget.reset(mask)

    def record(self, measurements: Any, moved: BoolArray) -> None:
        self._of_world.record(measurements, moved)
        self.budget.observe(_of_pool(measurements))

    def totals(self, measurements: Any) -> BudgetTotals:
        return BudgetTotals(self._of_world.totals(measurements), self.budget.sums.copy())

    def since(self, measurements: Any, totals: BudgetTotals | None = None) -> dict[str, FloatArray]:
        of_world, before = (None, 0.0) if totals is None else totals
        windows, missed, overspent = (self.budget.sums - before).T
        return {
            **self._of_world.since(measurements, of_world),
            "windows_missed_share": missed / np.maximum(windows, 1.0),
            "windows_overspent": overspent,
            "budget_left_share": self.budget.left_share,
            "day_left_share": self.budget.day_left_share,
        }

    def observed(self, statistics: Statistics) -> FloatArray32:
        own = np.stack([statistics[name] for name in OBSERVED], axis=-1).astype(np.float32)
        return np.concatenate([self._of_world.observed(statistics), own], axis=1)

    def spread(self, measurements: Any) -> Spread:
        spread: Spread = self._of_world.spread(measurements)  # type: ignore[attr-defined]  # those of this world have it
        return spread

    def get_state(self) -> Tree:
        return {"of_world": state_of(self._of_world), "budget": state_of(self.budget)}

    def set_state(self, state: Tree) -> None:
        restore(self._of_world, state["of_world"])
        restore(self.budget, state["budget"])


def _of_pool(measurements: Any) -> Measurements:
    """Of all balancers together."""
    pooled: Measurements = getattr(measurements, "pooled", measurements)
    return pooled
