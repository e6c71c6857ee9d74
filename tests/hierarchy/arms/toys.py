"""A rule with numbers in the stream world, so many executors for small workloads and for large ones; and a chosen mix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs import SparkConfig
from envs.core.rules import MEASUREMENTS, Trial
from envs.spark.measurements import Measurements
from hierarchy.arms.found import Chosen

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
    """The rule."""

    has_numbers = True
    is_oracle = False
    knows = MEASUREMENTS

    def suits(self, config: SparkConfig) -> bool:
        return True

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


class Right(Toy):
    """Walks to the right after so many steps; see `tests.envs.walks`."""

    def first(self, config: Any) -> list[dict[str, Any]]:
        return []

    def suggest(self, trial: Trial, config: Any) -> dict[str, Any]:
        return {"after": trial.suggest_int("after", 0, 4)}

    def start(self, config: Any, n_envs: int, values: Sequence[Mapping[str, Any]] = ()) -> Walking:
        return Walking(np.array([one["after"] for one in values]))


class Walking:
    """Stays, then walks."""

    def __init__(self, after: np.ndarray) -> None:
        self._after, self._step = after, 0

    def decide(self, measurements: Any) -> np.ndarray:
        self._step += 1
        return 1 + (self._step > self._after)


def known(terms: Sequence[str], mix: Sequence[float]) -> Chosen:
    """A mix as it is known after a choice."""
    return Chosen(dict(zip(terms, mix, strict=True)), 1.0, 0.5, 3, 2, 100)
