"""What is told of a world beyond a single step: figures of whole windows, and what pictures and strategies ask for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.terms import BoolArray, FloatArray, Function, RewardTerm, reward_term

FloatArray32 = NDArray[np.float32]
Statistics = Mapping[str, FloatArray]
Objective = Callable[[Statistics], FloatArray]


class Spread(NamedTuple):
    """How single answers are spread, all envs together: counts between edges."""

    label: str
    edges: FloatArray  # (n_bins + 1,)
    counts: FloatArray  # (n_bins,)


class Reports:
    """Everything above a world knows it by these names and figures only. A world fills in what it has.

    Attributes
    ----------
    n_envs
        Size of the batch.
    metric_names
        Statistics for results and pictures; tables show the first four.
    observed_names
        What the upper agent sees of a window, in the order of :meth:`observed`.
    timeline_names
        Statistics that the picture of an episode shows.
    setting_name
        What :attr:`setting` is called on pictures.
    has_context_rule
        Whether there is a hand-written rule from statistics to contexts.
    objective
        What the upper agent is paid for unless the settings say otherwise: a name of `hierarchy.objectives`, or a
        function of the statistics to ``(n_envs,)``.
    """

    n_envs: int
    metric_names: tuple[str, ...] = ()
    observed_names: tuple[str, ...] = ()
    timeline_names: tuple[str, ...] = ()
    setting_name: str = "setting"
    has_context_rule: bool = False
    objective: str | Objective

    def before_reset(self, mask: BoolArray) -> None:
        """Forget the envs in ``mask (n_envs,)``, whose episodes are about to begin."""

    def record(self, moved: BoolArray) -> None:
        """Take in a step of the envs in ``moved (n_envs,)``."""

    def totals(self) -> Any:
        """A copy of everything that adds up, to measure a stretch from."""
        raise NotImplementedError

    def statistics(self, since: Any = None) -> dict[str, FloatArray]:
        """Named figures ``(n_envs,)`` since the totals given, or since the reset."""
        raise NotImplementedError

    def observed(self, values: dict[str, FloatArray]) -> FloatArray32:
        """What the upper agent sees of statistics, scaled to order one, ``(n_envs, len(observed_names))``."""
        raise NotImplementedError

    @property
    def setting(self) -> FloatArray:
        """What the agent last set, ``(n_envs, n)``."""
        return np.zeros((self.n_envs, 1))

    @property
    def n_regimes(self) -> int:
        """Regimes that an oracle can be told; 0 in a world without."""
        return 0

    @property
    def regime(self) -> NDArray[np.int64]:
        """The regime now, ``(n_envs,)``; never part of an observation."""
        return np.zeros(self.n_envs, np.int64)

    @property
    def regime_names(self) -> tuple[str, ...]:
        """Of the regimes, for pictures."""
        return ()

    @property
    def recorded_position(self) -> FloatArray | None:
        """How far into a recording each env is, ``(n_envs,)`` in [0, 1); None without one."""
        return None

    @property
    def spread(self) -> Spread | None:
        """Of single answers since the reset, if the world has such."""
        return None

    def suggested_context(self, statistics: Statistics, term_names: tuple[str, ...]) -> FloatArray:
        """What a hand-written rule makes of a window's statistics, ``(n_envs, n_terms)``."""
        raise NotImplementedError


class Means(Reports):
    """Means of named figures over a stretch, for a world that keeps no accounts of its own.

    Parameters
    ----------
    dynamics
        What the figures are read from, after every step.
    figures
        Functions of the dynamics to ``(n_envs,)``, or reward terms, by name.
    objective
        Function of the means to ``(n_envs,)``; minus the sum of all figures by default.
    """

    def __init__(
        self, dynamics: Any, figures: Mapping[str, RewardTerm | Function], objective: Objective | None = None
    ) -> None:
        self.n_envs = dynamics.n_envs
        self.metric_names = self.observed_names = self.timeline_names = tuple(figures)
        self.objective = objective or self._minus_all
        self._dynamics = dynamics
        self._figures = [copy.deepcopy(reward_term(figure)) for figure in figures.values()]
        self._sums = np.zeros((self.n_envs, len(figures) + 1))  # the last column counts steps

    def _minus_all(self, statistics: Statistics) -> FloatArray:
        total: FloatArray = np.sum([statistics[name] for name in self.metric_names], axis=0)
        return -total

    def before_reset(self, mask: BoolArray) -> None:
        self._sums[mask] = 0.0
        for figure in self._figures:
            figure.before_reset(self._dynamics, mask)

    def record(self, moved: BoolArray) -> None:
        now = [figure.extract(self._dynamics, moved) for figure in self._figures]
        self._sums[moved] += np.stack([*now, np.ones(self.n_envs)], axis=-1)[moved]

    def totals(self) -> FloatArray:
        return self._sums.copy()

    def statistics(self, since: Any = None) -> dict[str, FloatArray]:
        stretch = self._sums if since is None else self._sums - since
        means = stretch[:, :-1] / np.maximum(stretch[:, -1:], 1.0)
        return dict(zip(self.metric_names, means.T, strict=True))

    def observed(self, values: dict[str, FloatArray]) -> FloatArray32:
        return np.stack([values[name] for name in self.observed_names], axis=-1).astype(np.float32)

    @property
    def setting(self) -> FloatArray:
        return np.asarray(self._dynamics.setting, np.float64)
