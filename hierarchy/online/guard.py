"""Whether an agent that goes on learning keeps what the deployed one promised."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from hierarchy.online.promised import Promised

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
    floor
        Mean objective below which the deployed agent is back.
    mean
        Objective over the last windows; NaN before there are so many.
    n_rollbacks
        So far.
    """

    is_learning: bool
    promise: float
    floor: float
    mean: float
    n_rollbacks: int


class Guard:
    """Watches the objective of windows, one after the other.

    While learning goes on, the mean of the last ``n_windows`` is held against the promise less a margin. Once it is below,
    the deployed agent is back for as many windows, and twice as many after every further time; that time is halved by a
    stretch of learning that was as long and kept the promise. What the deployed agent had in it is the promise from then on,
    if that is less than the first one: where the world has changed nobody can keep that. The margin is wider for a promise
    that is a mean of few windows itself.

    Parameters
    ----------
    promised
        In the unit of the objective.
    n_windows
        In a mean.
    """

    def __init__(self, promised: Promised, n_windows: int) -> None:
        self._first, self._n = promised, n_windows
        self._promise, self._n_behind = promised.promise, promised.n_windows
        self._is_learning = True
        self._n_rollbacks, self._n_doublings = 0, 0
        self._n_seen, self._n_kept = 0, 0  # of this stretch; of those, since the time was halved
        self._recent = np.zeros(n_windows)  # of this stretch, the last ones, in turn
        self._sum = 0.0  # of this stretch

    @property
    def standing(self) -> Standing:
        """As of the last window."""
        mean = float(self._recent.mean()) if self._n_seen >= self._n else float("nan")
        return Standing(self._is_learning, self._promise, self._floor, mean, self._n_rollbacks)

    @property
    def _floor(self) -> float:
        more = self._n / self._n_behind if self._n_behind else 0.0
        return self._promise - self._first.margin * math.sqrt(1.0 + more)

    @property
    def _length(self) -> int:
        """Windows that the deployed agent is given, or was given last."""
        return self._n * min(1 << max(self._n_doublings - 1, 0), LONGEST)

    def observe(self, objective: float) -> Event:
        """A window has ended."""
        self._recent[self._n_seen % self._n] = objective
        self._n_seen += 1
        self._sum += objective
        if self._is_learning:
            return self._judge()
        if self._n_seen < self._length:
            return ""
        average = self._sum / self._n_seen
        if average < self._first.promise:
            self._promise, self._n_behind = average, self._n_seen
        else:
            self._promise, self._n_behind = self._first.promise, self._first.n_windows
        self._begin(is_learning=True)
        return "resumed"

    def _judge(self) -> Event:
        if self._n_seen >= self._n and self._recent.mean() < self._floor:
            self.roll_back()
            return "rolled back"
        self._n_kept += 1
        if self._n_kept >= self._length:
            self._n_doublings, self._n_kept = max(self._n_doublings - 1, 0), 0
        return ""

    def roll_back(self) -> None:
        """The deployed agent is back, whatever windows say."""
        self._n_rollbacks += 1
        self._n_doublings = min(self._n_doublings, LONGEST.bit_length()) + 1
        self._begin(is_learning=False)

    def _begin(self, is_learning: bool) -> None:
        self._is_learning, self._n_seen, self._n_kept, self._sum = is_learning, 0, 0, 0.0
