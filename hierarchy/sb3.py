"""Agents of Stable-Baselines3 as learners: observers instead of callbacks, written whole or not at all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import LinearSchedule

from envs.core.validation import SettingError
from hierarchy.protocols import Observer, TrainedActor


def falling(learning_rate: float, final_share: float) -> LinearSchedule:
    """A learning rate that falls in a line to a share of itself as training ends."""
    return LinearSchedule(learning_rate, learning_rate * final_share, 1.0)


class ObserverCallback(BaseCallback):
    """From SB3 to observers; what an agent has to record is made by subclasses."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        super().__init__()
        self._observers = observers
        self._started_s = 0.0

    @property
    def steps_per_s(self) -> float:
        """Since training began."""
        return self.num_timesteps / (time.perf_counter() - self._started_s)

    def record(self, values: Mapping[str, float]) -> None:
        """Pass figures on."""
        for observer in self._observers:
            observer.on_metrics(values, self.num_timesteps)

    def _on_training_start(self) -> None:
        self._started_s = time.perf_counter()

    def _observe(self) -> None:
        """Take in a step."""

    def _on_step(self) -> bool:
        self._observe()
        for observer in self._observers:
            observer.on_step(self.num_timesteps)
        return True


MakeCallback = Callable[[Sequence[Observer]], BaseCallback]


class SB3Learner:
    """An agent of SB3 in training.

    Parameters
    ----------
    description
        What is written beside a saved agent, its ``algorithm`` among it.
    make_callback
        Makes what observers observe through.
    """

    def __init__(
        self, agent: BaseAlgorithm, actor: TrainedActor, description: Mapping[str, Any], make_callback: MakeCallback
    ) -> None:
        self.agent = agent
        self._actor, self._description, self._make_callback = actor, description, make_callback

    @property
    def n_steps(self) -> int:
        """Trained so far, over all envs together."""
        return self.agent.num_timesteps

    @property
    def actor(self) -> TrainedActor:
        """What acts as the agent has learned to by now."""
        return self._actor

    def begin_from(self, path: Path) -> None:
        """Take over what a saved agent has learned."""
        self.agent.set_parameters(str(path), device="cpu")

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Train for ``n_steps`` more."""
        self.agent.learn(n_steps, callback=self._make_callback(observers), reset_num_timesteps=self.n_steps == 0)

    def save(self, path: Path, extra: Mapping[str, Any] | None = None) -> None:
        """Write the agent as a zip, and a description with ``extra`` entries beside it; each whole or not at all."""
        text = json.dumps({**self._description, **(extra or {})}, indent=1)
        _replace(path, self.agent.save)
        _replace(path.with_suffix(".json"), lambda partial: partial.write_text(text + "\n", encoding="utf-8"))


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f".{path.name}")
    write(partial)
    os.replace(partial, path)


def description_of(path: Path, algorithm: str) -> dict[str, Any]:
    """What is written beside a saved agent.

    Raises
    ------
    SettingError
        It was trained by another algorithm.
    """
    description: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    if description["algorithm"] != algorithm:
        raise SettingError("algorithm", f"{description['algorithm']}, that of {path.name}", algorithm)
    return description
