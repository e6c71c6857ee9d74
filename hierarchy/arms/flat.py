"""The agent without a hierarchy: the lower algorithm trained on the objective itself, to see what the hierarchy is worth."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import envs
from envs.core.arrays import Array
from envs.core.batch import BatchEnv
from envs.core.finite import check_finite
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.beginnings import n_beginning_steps
from hierarchy.arms.start import Start
from hierarchy.building import candidates
from hierarchy.building.lower import paired
from hierarchy.config import ExperimentConfig
from hierarchy.executors import Executor
from hierarchy.pair import Pair
from hierarchy.protocols import Learner
from hierarchy.twins import Decided
from hierarchy.vec_env import BatchVecEnv

FLAT_ENV_IDS = 2_000_000
"""Env ids of the flat agent start here, so that it shares no stream with the hierarchy."""


def timesteps(config: ExperimentConfig) -> int:
    """Lower steps that both agents of the hierarchy take together, all candidates and where they begin included; every agent
    of a team takes one in a step of its env.
    """
    of_envs = n_beginning_steps(config) + candidates.n_lower_steps(config)
    return config.lower.timesteps + of_envs * envs.describe(config.env).n_agents


class ObjectiveVecEnv(BatchVecEnv):
    """A batch whose reward is the objective since the last action; its context stays equal and says nothing."""

    @staticmethod
    def decide(batch: BatchEnv, action: Array) -> Decided:
        totals = batch.simulation.totals()
        observation, _, terminated, truncated, info = batch.decide(action)
        objective = batch.simulation.objective(batch.simulation.statistics(totals))
        check_finite(objective[:, None], lambda _: "objective", batch.simulation.elapsed)
        return observation, batch.of_rows(objective), terminated, truncated, info


def _batch(config: ExperimentConfig) -> BatchEnv:
    env_ids = [FLAT_ENV_IDS + i for i in range(config.lower.n_envs)]
    made = envs.make(config.env, config.lower.n_envs, config.seed, "train", env_ids=env_ids)
    made.simulation.settles = False  # a truncated episode is valued by what would have come
    return made


def vec_env(config: ExperimentConfig, beside: Executor | None = None) -> BatchVecEnv:
    """A fresh batch of the world to learn in; for ``beside`` see :func:`hierarchy.building.lower.paired`."""
    return paired(ObjectiveVecEnv, _batch(config), partial(_batch, config), config, beside)


def build(config: ExperimentConfig, beside: Executor | None = None) -> Learner:
    """A fresh agent with the networks and settings of the lower one.

    Raises
    ------
    SettingError
        That learns from what is on record under mixes.
    """
    config.lower.check_data(config.env, contextual=False)
    lower = replace(config.lower, timesteps=timesteps(config))  # where schedules end
    return lower.build(vec_env(config, beside), config.seed, contextual=False)


def start_flat(start: Start) -> Pair:
    """The agent, which sets weights itself."""
    assert start.agents.flat is not None
    return start.unmixed(start.agents.flat)


def wants_flat(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """It takes as long to train as the hierarchy, so it must be asked for."""
    return config.ablation.flat


def lower_algorithm(config: ExperimentConfig) -> str | None:
    """What it learned by."""
    return config.lower.algorithm


FLAT = Arm("unmixed", start_flat, wants_flat, algorithm=lower_algorithm)
