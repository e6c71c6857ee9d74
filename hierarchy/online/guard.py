"""Whether an agent that goes on learning keeps what the deployed one promised."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

Event = Literal["", "rolled back", "resumed"]
"""What a window has led to: nothing, the deployed agent is back, learning begins again from it."""
LONGEST = 64
"""Longest time with the deployed agent, in times of the first."""


class Standing(NamedTuple):
    """Where a guard stands.

    Attributes
    ----------
    is_learning
        Whether what was learned is in force, else the deployed agent is.
    promise
        Objective that is held to.
    mean
        Objective over the last windows; NaN before there are so many.
    n_rollbacks
        So far.
    """

    is_learning: bool
    promise: float
    mean: float
    n_rollbacks: int


class Guard:
    """Watches the objective of windows, one after the other.

    While learning goes on, the mean of the last ``n_windows`` is held against the promise less a margin. Once it is below,
    the deployed agent is back for as many windows, and twice as many after every further time. What it had in those is the
    promise from then on, if that is less than the first one: where the world has changed nobody can keep that.

    Parameters
    ----------
    promise, margin
        In the unit of the objective.
    n_windows
        In a mean.
    """

    def __init__(self, promise: float, margin: float, n_windows: int) -> None:
        self._first, self._margin, self._n = promise, margin, n_windows
        self._promise, self._is_learning = promise, True
        self._n_rollbacks, self._n_seen = 0, 0
        self._recent = np.zeros(n_windows)  # of this stretch, the last ones, in turn
        self._sum = 0.0  # of this stretch

    @property
    def standing(self) -> Standing:
        """As of the last window."""
        mean = float(self._recent.mean()) if self._n_seen >= self._n else float("nan")
        return Standing(self._is_learning, self._promise, mean, self._n_rollbacks)

    @property
    def _length(self) -> int:
        """Windows that the deployed agent is given."""
        return self._n * min(1 << (self._n_rollbacks - 1), LONGEST)

    def observe(self, objective: float) -> Event:
        """A window has ended."""
        self._recent[self._n_seen % self._n] = objective
        self._n_seen += 1
        self._sum += objective
        if self._is_learning:
            if self._n_seen < self._n or self._recent.mean() >= self._promise - self._margin:
                return ""
            self.roll_back()
            return "rolled back"
        if self._n_seen < self._length:
            return ""
        self._promise = min(self._first, self._sum / self._n_seen)
        self._begin(is_learning=True)
        return "resumed"

    def roll_back(self) -> None:
        """The deployed agent is back, whatever windows say."""
        self._n_rollbacks += 1
        self._begin(is_learning=False)

    def _begin(self, is_learning: bool) -> None:
        self._is_learning, self._n_seen, self._sum = is_learning, 0, 0.0
