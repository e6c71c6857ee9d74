"""Where a lower agent tries actions: envs of its world, under contexts or for the objective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import envs
from envs.core.action_sets import choice_sizes
from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.batch import BatchEnv
from envs.core.futures import branch
from hierarchy.config import ExperimentConfig
from hierarchy.warm_start.branching import Branching, Place, Plan, Tried, credited

N_ENVS = 64
"""Envs that states are met in."""
FIRST_ENV_ID = 3_000_000
"""They share no stream with those of phases 1 and 2."""
NO_END = 2**40


class OfWorld:
    """A batch of a world, whose actions are one choice each.

    Parameters
    ----------
    contextual
        Whether the terms of the reward are measured, by which any context can be served, or the objective.
    """

    def __init__(self, batch: BatchEnv, contextual: bool) -> None:
        self.batch, self.n_envs, self._contextual = batch, batch.n_envs, contextual
        self.batch.simulation.settles = False  # a state is valued by what would have come
        self.n_actions = choice_sizes(batch.action_space)[0]
        nominal = batch.world.nominal_action
        assert nominal is not None
        self.nominal, self._shape = int(np.ravel(nominal)[0]), np.shape(nominal)
        self.steps_per_action = batch.world.actuator.every_steps
        self._measure_from_now()

    def reset(self, mask: BoolArray | None = None) -> FloatArray32:
        return self.batch.reset(mask=mask)

    def step(self, actions: IntArray) -> tuple[FloatArray32, BoolArray]:
        observations, _, terminated, truncated, info = self.batch.decide(actions.reshape(self.n_envs, *self._shape))
        self._sum += info["reward_vector"]
        self._n_steps += self.steps_per_action
        return observations, terminated | truncated

    def branch(self, into: Place, rows: IntArray, futures: Sequence[int], seed: int) -> None:
        assert isinstance(into, OfWorld)
        branch(self.batch, into.batch, rows, futures, seed)
        into.batch.set_context(self.batch.context[rows])
        into._measure_from_now()

    def _measure_from_now(self) -> None:
        self._sum: FloatArray = np.zeros((self.n_envs, self.batch.n_terms))
        self._n_steps = 0
        self._totals = self.batch.simulation.totals()

    def worth(self) -> FloatArray:
        terms, objective = self._sum / self._n_steps, credited(self.batch.simulation, self._totals)[:, None]
        return np.concatenate([terms if self._contextual else objective, objective], axis=1)


class Job(NamedTuple):
    """Some of the states of a round."""

    config: ExperimentConfig
    contextual: bool
    plan: Plan


def tried(job: Job) -> Tried:
    """The tries of a job, in whatever process."""
    config, plan = job.config, job.plan
    env_ids = range(FIRST_ENV_ID + plan.number * N_ENVS, FIRST_ENV_ID + (plan.number + 1) * N_ENVS)
    met = envs.make(config.env, N_ENVS, config.seed, "train", config.lower.context if job.contextual else None, env_ids)
    if plan.around:
        met.aim(np.array(plan.around))
    endless = replace(config.env, episode_steps=NO_END)
    followed = envs.make(endless, plan.n_futures, config.seed, "train")
    followed.reset()
    return Branching(OfWorld(met, job.contextual), OfWorld(followed, job.contextual), plan).run()
