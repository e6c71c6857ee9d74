"""A lower agent over a batch of its world."""

from __future__ import annotations

import envs
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Learner
from hierarchy.vec_env import BatchVecEnv


def vec_env(config: ExperimentConfig) -> BatchVecEnv:
    """A fresh batch of the world to learn in, its contexts drawn as the settings say."""
    lower = config.lower
    twin = envs.make(config.env, lower.n_envs, config.seed) if lower.paired else None
    return BatchVecEnv(envs.make(config.env, lower.n_envs, config.seed, "train", lower.context), twin)


def build(config: ExperimentConfig) -> Learner:
    """A fresh lower agent over a fresh batch."""
    return config.lower.build(vec_env(config), config.seed)
