"""The agent without a hierarchy: the lower algorithm trained on the objective itself, to see what the hierarchy is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import envs
from envs.core.batch import BatchEnv
from hierarchy.config import ExperimentConfig
from hierarchy.lower.vec_env import BatchVecEnv
from hierarchy.objectives import objective
from hierarchy.protocols import Learner, UpperAlgorithm
from hierarchy.upper import agent as upper

FLAT_ENV_IDS = 2_000_000
"""Env ids of the flat agent start here, so that it shares no stream with the hierarchy."""


def timesteps(config: ExperimentConfig) -> int:
    """Lower steps that both agents of the hierarchy take together."""
    return config.lower.timesteps + config.upper.meta_steps * upper.lower_steps_per_window(config)


class ObjectiveVecEnv(BatchVecEnv):
    """A batch whose reward is the objective of every single step; its context stays equal and says nothing."""

    def __init__(self, batch: BatchEnv, settings: UpperAlgorithm) -> None:
        super().__init__(batch)
        self._settings = settings
        self._since: Any = None

    def step_async(self, actions: NDArray[Any]) -> None:
        super().step_async(actions)
        self._since = self.batch.reports.totals()

    def reward_of(self, reward: NDArray[np.float64]) -> NDArray[np.float64]:
        return objective(self.batch.reports.statistics(self._since), self._settings, self.batch.reports)


def build(config: ExperimentConfig) -> Learner:
    """A fresh agent with the networks and settings of the lower one."""
    env_ids = [FLAT_ENV_IDS + i for i in range(config.lower.n_envs)]
    batch = envs.make(config.env, config.lower.n_envs, config.seed, "train", env_ids=env_ids)
    return config.lower.build(ObjectiveVecEnv(batch, config.upper), config.seed, contextual=False)
