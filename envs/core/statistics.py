"""Figures of windows and whole episodes, which objectives, upper agents, tables and pictures are made of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.state import Tree, restore_all, states_of
from envs.core.terms import Function, RewardTerm, reward_term

Statistics = Mapping[str, FloatArray]
"""Named figures ``(n_envs,)`` of a stretch of an episode."""


class Spread(NamedTuple):
    """How single answers are spread, all envs together: counts between edges."""

    label: str
    edges: FloatArray  # (n_bins + 1,)
    counts: FloatArray  # (n_bins,)


class WindowStatistics(Protocol):
    """Statistics of a world, all of them made from its measurements.

    Attributes
    ----------
    metric_names
        Statistics for results and pictures; tables show the first four.
    observed_names
        What the upper agent observes of a window, in the order of :meth:`observed`.
    timeline_names
        Statistics that the picture of an episode shows.
    """

    metric_names: tuple[str, ...]
    observed_names: tuple[str, ...]
    timeline_names: tuple[str, ...]

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        """Forget the envs in ``mask (n_envs,)``, whose episodes are about to begin."""

    def record(self, measurements: Any, moved: BoolArray) -> None:
        """Take in a step of the envs in ``moved (n_envs,)``."""

    def totals(self, measurements: Any) -> Any:
        """A copy of everything that adds up, to measure a stretch from."""

    def since(self, measurements: Any, totals: Any = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)`` since the totals given, or since the reset."""

    def observed(self, statistics: Statistics) -> FloatArray32:
        """What the upper agent observes of statistics, scaled to order one, ``(n_envs, len(observed_names))``."""


def exogenous_names(statistics: WindowStatistics) -> tuple[str, ...]:
    """Those of its observed statistics that no action changes, as far as a world says so by ``exogenous_names``."""
    return tuple(getattr(statistics, "exogenous_names", ()))


class MeanStatistics:
    """Means of named figures over a stretch, for a world that adds nothing up itself.

    Parameters
    ----------
    n_envs
        Size of the batch.
    figures
        Functions of the measurements to ``(n_envs,)``, or reward terms, by name.
    """

    def __init__(self, n_envs: int, figures: Mapping[str, RewardTerm | Function]) -> None:
        self.metric_names = self.observed_names = self.timeline_names = tuple(figures)
        self._figures = [copy.deepcopy(reward_term(figure)) for figure in figures.values()]
        self._sums = np.zeros((n_envs, len(figures) + 1))  # the last column counts steps

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        self._sums[mask] = 0.0
        for figure in self._figures:
            figure.before_reset(measurements, mask)

    def record(self, measurements: Any, moved: BoolArray) -> None:
        now = [figure.extract(measurements, moved) for figure in self._figures]
        self._sums[moved] += np.stack([*now, np.ones(len(moved))], axis=-1)[moved]

    def totals(self, measurements: Any) -> FloatArray:
        return self._sums.copy()

    def since(self, measurements: Any, totals: Any = None) -> dict[str, FloatArray]:
        stretch = self._sums if totals is None else self._sums - totals
        means = stretch[:, :-1] / np.maximum(stretch[:, -1:], 1.0)
        return dict(zip(self.metric_names, means.T, strict=True))

    def observed(self, statistics: Statistics) -> FloatArray32:
        return np.stack([statistics[name] for name in self.observed_names], axis=-1).astype(np.float32)

    def get_state(self) -> Tree:
        return {"sums": self._sums.copy(), "figures": states_of(self._figures)}

    def set_state(self, state: Tree) -> None:
        self._sums[...] = state["sums"]
        restore_all(self._figures, state["figures"])


def minus_all(statistics: Statistics) -> FloatArray:
    """Minus the sum of all statistics: the objective of a world of losses that names none."""
    total: FloatArray = np.sum(list(statistics.values()), axis=0)
    return -total
