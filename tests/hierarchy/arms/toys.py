"""A rule with numbers in the stream world: so many executors for small workloads, so many for large ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs import SparkConfig
from envs.core.rules import Trial
from envs.spark.measurements import Measurements

FIRST = {"few": 2, "many": 7, "above": 250.0}


class Steps:
    """The rule from the beginning of a batch on."""

    def __init__(self, n_envs: int, values: Sequence[Mapping[str, Any]]) -> None:
        assert len(values) in (1, n_envs)
        each = [*values] * (n_envs // len(values))
        self._few, self._many, self._above = (np.array([one[name] for one in each]) for name in ("few", "many", "above"))

    def decide(self, measurements: Measurements) -> np.ndarray:
        return np.where(measurements.workload > self._above, self._many, self._few)[:, None] - 1


class Toy:
    """The rule; what it is asked is kept."""

    has_numbers = True

    def configured(self, config: SparkConfig) -> SparkConfig:
        return config

    def first(self, config: SparkConfig) -> list[dict[str, Any]]:
        return [FIRST]

    def suggest(self, trial: Trial, config: SparkConfig) -> dict[str, Any]:
        few, many = (trial.suggest_int(name, 1, 20) for name in ("few", "many"))
        return {"few": few, "many": many, "above": trial.suggest_float("above", 10.0, 500.0)}

    def start(self, config: SparkConfig, n_envs: int, values: Sequence[Mapping[str, Any]] = ()) -> Steps:
        return Steps(n_envs, values)


class Plain(Toy):
    """The same with numbers that nobody searches for."""

    has_numbers = False

    def start(self, config: SparkConfig, n_envs: int, values: Sequence[Mapping[str, Any]] = ()) -> Steps:
        assert not values
        return Steps(n_envs, [FIRST])
