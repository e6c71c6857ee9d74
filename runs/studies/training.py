"""An agent evaluated while it trains."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback


class Evaluations(BaseCallback):
    """Evaluates the agent at even intervals while it trains, and keeps the parameters that did best.

    Parameters
    ----------
    evaluate
        The value of the agent as it is; more is better. The time that it takes is not counted.
    every
        Timesteps between two evaluations; the first is before training.
    """

    def __init__(self, evaluate: Callable[[], float], every: int) -> None:
        super().__init__()
        self._evaluate, self._every = evaluate, every
        self.timesteps: list[int] = []
        self.seconds: list[float] = []
        self.values: list[float] = []
        self.best: dict[str, Any] = {}
        self._trained_s = 0.0
        self._since_s = 0.0

    def _on_training_start(self) -> None:
        self.record()

    def record(self) -> None:
        """Evaluate now."""
        value = self._evaluate()
        if not self.values or value > max(self.values):
            self.best = copy.deepcopy(self.model.policy.state_dict())
        self.timesteps.append(self.num_timesteps)
        self.seconds.append(self._trained_s)
        self.values.append(value)
        self._since_s = time.perf_counter()

    def _on_step(self) -> bool:
        if self.num_timesteps - self.timesteps[-1] >= self._every:
            self._trained_s += time.perf_counter() - self._since_s
            self.record()
        return True
