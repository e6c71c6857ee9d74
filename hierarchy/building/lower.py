"""A lower agent over a batch of its world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

import envs
from envs.core.batch import BatchEnv
from envs.core.spec import LOWER_FIELDS
from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Executor
from hierarchy.executors.inline import Inline
from hierarchy.executors.remote import Remote
from hierarchy.lower.offline import OfflineConfig
from hierarchy.meta.reptile import Reptile
from hierarchy.protocols import Learner
from hierarchy.twins import Twin
from hierarchy.vec_env import BatchVecEnv


def vec_env(config: ExperimentConfig, beside: Executor | None = None) -> BatchVecEnv:
    """A fresh batch of the world to learn in, its contexts drawn as the settings say; for ``beside`` see :func:`paired`."""
    lower = config.lower
    batch = envs.make(config.env, lower.n_envs, config.seed, "train", lower.context)
    return paired(BatchVecEnv, batch, partial(envs.make, config.env, lower.n_envs, config.seed), config, beside)


def paired(
    kind: type[BatchVecEnv],
    batch: BatchEnv,
    make_twin: Callable[[], BatchEnv],
    config: ExperimentConfig,
    beside: Executor | None,
) -> BatchVecEnv:
    """A batch as vec env of a kind, with a twin if the settings have one and the world has a nominal action.

    Parameters
    ----------
    make_twin
        Makes the batch over again; picklable.
    beside
        One worker, where the twin runs; this process when not given.
    """
    if not config.lower.paired or batch.world.nominal_action is None:
        return kind(batch)
    return kind(batch, Remote(beside or Inline(), Twin, make_twin, kind.decide))


def learner(config: ExperimentConfig, beside: Executor | None = None) -> Learner:
    """A fresh lower agent over a fresh batch."""
    return config.lower.build(vec_env(config, beside), config.seed)


def build(config: ExperimentConfig, beside: Executor | None = None) -> Learner:
    """The same, or one that learns to learn where the settings say so."""
    if not config.meta.steps:
        return learner(config, beside)

    def in_world(number: int) -> Learner:
        env = envs.drawn(config.env, config.seed, "train", number)
        seed = int(np.random.SeedSequence(config.seed, spawn_key=(number,)).generate_state(1)[0])
        return learner(replace(config, env=env, seed=seed), beside)

    return Reptile(in_world, config.meta.steps, config.meta.rate, config.lower.timesteps)


def check_meta(config: ExperimentConfig) -> None:
    """A lower agent that is to learn to learn can.

    Raises
    ------
    SettingError
        It can't.
    """
    if not config.meta.steps:
        return
    if isinstance(config.lower, OfflineConfig):
        raise SettingError("meta.steps", "0 for an algorithm that learns from a dataset", config.meta.steps)
    if config.meta.steps > config.lower.timesteps:
        raise SettingError("meta.steps", f"<= lower.timesteps ({config.lower.timesteps})", config.meta.steps)
    spec = envs.describe(config.env)
    world = envs.describe(envs.drawn(config.env, config.seed, "train", 0))
    if spec.misfit(world, LOWER_FIELDS) is not None:
        raise SettingError("env.randomise.n_servers", "[] with meta.steps: all worlds have as many", "a range")
