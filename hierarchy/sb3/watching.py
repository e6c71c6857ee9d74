"""What watches an agent of Stable-Baselines3 learn, and hands on to observers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from stable_baselines3.common.callbacks import BaseCallback

from envs.core.state import Tree
from hierarchy.protocols import Observer


class ObserverCallback(BaseCallback):
    """From SB3 to observers; what an agent has to record is made by subclasses."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        super().__init__()
        self._observers = observers
        self._started_s, self._n_before = 0.0, 0

    @property
    def steps_per_s(self) -> float:
        """Since training began, or went on."""
        return (self.num_timesteps - self._n_before) / (time.perf_counter() - self._started_s)

    def record(self, values: Mapping[str, float]) -> None:
        """Pass figures on."""
        for observer in self._observers:
            observer.on_metrics(values, self.num_timesteps)

    def _on_training_start(self) -> None:
        self._started_s, self._n_before = time.perf_counter(), self.num_timesteps

    def _observe(self) -> None:
        """Take in a step."""

    def _on_step(self) -> bool:
        self._observe()
        for observer in self._observers:
            observer.on_step(self.num_timesteps)
        return True

    def _begin(self) -> None:
        """A rollout begins, the update before it is over."""

    def _on_rollout_start(self) -> None:
        self._begin()
        for observer in self._observers:
            observer.on_rollout(self.num_timesteps)

    def get_state(self) -> Tree:
        """A copy of what is remembered from rollout to rollout, as it is when one begins."""
        return {}

    def set_state(self, state: Tree) -> None:
        """Go on from a state of :meth:`get_state`."""
