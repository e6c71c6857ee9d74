"""An agent evaluated while it trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from hierarchy.protocols import Learner, Observer


def nothing() -> None:
    """What did best is not kept."""


class Evaluations(Observer):
    """An observer that evaluates an agent at even intervals while it trains.

    Parameters
    ----------
    evaluate
        The value of the agent as it is; more is better. The time that it takes is not counted.
    every
        Timesteps between two evaluations.
    on_best
        Called when no evaluation of a trained agent before was as good, to keep the agent as it is. The first one, before
        any training, is of no agent that anybody would keep.

    Attributes
    ----------
    timesteps, seconds, values
        Of each evaluation: timesteps and seconds trained before it, and the value.
    best
        Timesteps before the best evaluation of a trained agent; None before there is one.
    """

    def __init__(self, evaluate: Callable[[], float], every: int, on_best: Callable[[], None] = nothing) -> None:
        self._evaluate, self._every, self._on_best = evaluate, every, on_best
        self.timesteps: list[int] = []
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.best: int | None = None
        self._trained_s = 0.0
        self._since_s = 0.0

    def train(self, learner: Learner, n_steps: int) -> None:
        """Train an agent for ``n_steps``; the first evaluation is before."""
        self.record(learner.n_steps)
        learner.learn(n_steps, self)

    def record(self, n_steps: int) -> None:
        """Evaluate now, after ``n_steps``."""
        value = self._evaluate()
        if self.values and value > max(self.values[1:], default=-math.inf):
            self._on_best()
            self.best = n_steps
        self.timesteps.append(n_steps)
        self.seconds.append(self._trained_s)
        self.values.append(value)
        self._since_s = time.perf_counter()

    def on_step(self, n_steps: int) -> None:
        if n_steps - self.timesteps[-1] >= self._every:
            self._trained_s += time.perf_counter() - self._since_s
            self.record(n_steps)
