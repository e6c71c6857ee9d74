"""A lower agent over a batch of its world."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import envs
from envs.core.batch import BatchEnv
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Executor
from hierarchy.executors.inline import Inline
from hierarchy.executors.remote import Remote
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


def build(config: ExperimentConfig, beside: Executor | None = None) -> Learner:
    """A fresh lower agent over a fresh batch."""
    return config.lower.build(vec_env(config, beside), config.seed)
