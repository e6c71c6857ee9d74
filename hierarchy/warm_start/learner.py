"""A lower agent in training that is started before it learns by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.building.lower_steps import steps_of_round, warm_steps
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Executor
from hierarchy.nets.advantages import Advantages
from hierarchy.protocols import Learner, Observer, TrainedActor
from hierarchy.warm_start.lower import Job, tried
from hierarchy.warm_start.rounds import improve
from hierarchy.warm_starts import JobSize


class Startable(Learner, Protocol):
    """A learner that can begin with what actions gain."""

    @property
    def advantages(self) -> Advantages:
        """What it begins with, to be learned before."""

    def aim(self, mix: FloatArray) -> None:
        """Learn under contexts of which half lie around a mix ``(n_terms,)``."""


class Offset:
    """An observer of steps that come after others."""

    def __init__(self, observer: Observer, n_before: int) -> None:
        self._observer, self._n_before = observer, n_before

    def on_step(self, n_steps: int) -> None:
        self._observer.on_step(self._n_before + n_steps)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        self._observer.on_metrics(values, self._n_before + n_steps)


class WarmStarted:
    """A learner whose first steps are those of futures in which actions are tried.

    Parameters
    ----------
    learner
        Goes on from what they gained.
    config, contextual
        What is learned in, and whether under contexts or for the objective.
    workers
        Try actions side by side.
    """

    def __init__(self, learner: Startable, config: ExperimentConfig, contextual: bool, workers: Executor) -> None:
        self._learner, self._config, self._contextual, self._workers = learner, config, contextual, workers
        self._n_before = 0

    @property
    def n_steps(self) -> int:
        return self._n_before + self._learner.n_steps

    @property
    def actor(self) -> TrainedActor:
        return self._learner.actor

    def begin_from(self, path: Path) -> None:
        self._learner.begin_from(path)

    def save(self, path: Path, extra: Mapping[str, Any] | None = None) -> None:
        self._learner.save(path, extra)

    def learn(self, n_steps: int, *observers: Observer) -> None:
        """Steps of futures are the first of all; what is left of ``n_steps`` is the learner's own."""
        if self._n_before == 0:
            self._start(*observers)
            n_steps -= self._n_before
        if n_steps > 0:
            self._learner.learn(n_steps, *(Offset(observer, self._n_before) for observer in observers))

    def _start(self, *observers: Observer) -> None:
        config, learner = self._config, self._learner
        n_of_round = steps_of_round(config)
        around = improve(
            learner.advantages, config.lower.warm_start, config.seed, n_of_round, self._job, tried, self._workers, observers
        )
        self._n_before = warm_steps(config)
        if around:
            learner.aim(np.array(around))

    def _job(self, size: JobSize, number: int, policy: Advantages | None, around: tuple[float, ...]) -> Job:
        return Job(self._config, self._contextual, size, number, policy, around)


def started(learner: Learner, config: ExperimentConfig, contextual: bool, workers: Executor) -> Learner:
    """The learner, started first if settings say so."""
    if config.lower.warm_start.rounds == 0:
        return learner
    return WarmStarted(cast(Startable, learner), config, contextual, workers)
