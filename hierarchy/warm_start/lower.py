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
from envs.core.futures import branch, credited
from hierarchy.config import ExperimentConfig
from hierarchy.nets.advantages import Advantages
from hierarchy.warm_start.branching import Branching, Effort, Place, Tried
from hierarchy.warm_starts import JobSize

FIRST_ENV_ID = 3_000_000
"""Envs that states are met in share no stream with those of phases 1 and 2."""
WITHOUT_CONTEXT = 1 << 16
"""Numbers of jobs for an agent without a context begin here: it meets other luck."""
NO_END = 2**40


class BatchPlace:
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
        assert isinstance(into, BatchPlace)
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
    """Some of the states of a round.

    Attributes
    ----------
    number
        Of the job among all, which fixes its luck.
    policy
        What was learned before; None in the first round.
    around
        The mix that half of the contexts lie around; none if empty.
    """

    config: ExperimentConfig
    contextual: bool
    size: JobSize
    number: int
    policy: Advantages | None
    around: tuple[float, ...]


def tried(job: Job) -> Tried:
    """The tries of a job, in whatever process."""
    config, n_envs, warm = job.config, job.size.n_envs, job.config.lower.warm_start
    number = job.number + (0 if job.contextual else WITHOUT_CONTEXT)
    first_env_id = FIRST_ENV_ID + number * max(size.n_envs for size in warm.jobs)
    env_ids = range(first_env_id, first_env_id + n_envs)
    met = envs.make(config.env, n_envs, config.seed, "train", config.lower.context if job.contextual else None, env_ids)
    if job.around:
        met.aim(np.array(job.around))
    endless = replace(config.env, episode_steps=NO_END)
    followed = envs.make(endless, n_envs * (warm.tries + 1), config.seed, "train")
    followed.reset()
    place, futures = BatchPlace(met, job.contextual), BatchPlace(followed, job.contextual)
    n_decisions = -(-config.env.episode_steps // place.steps_per_action)
    effort = Effort(
        job.size.n_moments, n_decisions, warm.tries, warm.ahead_steps, warm.explore, config.seed, number, job.policy
    )
    return Branching(place, futures, effort).run()
