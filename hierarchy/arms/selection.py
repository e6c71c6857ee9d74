"""What is chosen on selection seeds: many candidates side by side, all on the same seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from envs.core.arrays import Array, FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import Batch, StartFunction, play
from hierarchy.arms.search import Windows
from hierarchy.arms.start import Agents, Start
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.pair import ContextSetter, Pair

MIN_ROWS = 8
"""Envs in a part of a batch: matrix products of fewer rows may round differently."""
CANDIDATES = "candidates"
"""Where those who start candidates find them, one per env."""

SetterType = Callable[[FloatArray], ContextSetter]


def start_candidates(setter: SetterType, start: Start) -> Pair:
    """The lower agent under another mix or table in every env."""
    return start.pair(setter(start.found[CANDIDATES]))


class Selection:
    """Chooses on selection seeds.

    Parameters
    ----------
    config, spec
        Settings, and what their world is made of.
    agents
        Whose lower one acts.
    jobs
        Where candidates run; a batch is split into as many parts as there are workers.
    """

    def __init__(self, config: ExperimentConfig, spec: WorldSpec, agents: Agents, jobs: Jobs) -> None:
        self.config, self.spec, self._agents, self._jobs = config, spec, agents, jobs
        self._n_seeds = config.ablation.n_select_seeds

    @staticmethod
    def steps_per_candidate(config: ExperimentConfig) -> int:
        """Env steps that a candidate takes on all selection seeds."""
        settings = config.ablation
        return settings.n_select_seeds * episode_steps(config, settings.select_windows)

    def _run(self, start: StartFunction, candidates: Array, n_seeds: int) -> list[Episodes]:
        """An episode of each candidate ``(n, ...)`` on every seed, seeds varying fastest, in parts of the batch."""
        rows, env_ids = np.repeat(candidates, n_seeds, axis=0), np.tile(np.arange(n_seeds), len(candidates))
        n_parts = max(1, min(self._jobs.n_workers, len(rows) // MIN_ROWS))
        parts = self._parts(start, rows, env_ids, n_parts)
        if len({len(part.regimes) for part in parts}) > 1:  # a world that ends of itself, in some parts before others
            return self._parts(start, rows, env_ids, 1)
        return parts

    def _parts(self, start: StartFunction, rows: Array, env_ids: Array, n_parts: int) -> list[Episodes]:
        n_windows = self.config.ablation.select_windows
        jobs = []
        for part, ids in zip(np.array_split(rows, n_parts), np.array_split(env_ids, n_parts), strict=True):
            batch = Batch(self.config.env, "select", ids.tolist(), n_windows)
            n_steps = len(ids) * episode_steps(self.config, n_windows)
            arguments = (self.config, self._agents, {CANDIDATES: part}, start, batch)
            jobs.append(self._jobs.submit(play, *arguments, n_steps=n_steps, urgent=True))
        return self._jobs.results(jobs)

    def scores_of(self, start: StartFunction, candidates: Array, n_seeds: int | None = None) -> FloatArray:
        """Objective of each candidate ``(n, ...)`` on every selection seed, ``(n, n_seeds)``."""
        n_seeds = n_seeds or self._n_seeds
        parts = self._run(start, candidates, n_seeds)
        return np.concatenate([part.objective for part in parts]).reshape(len(candidates), n_seeds)

    def scores(self, setter: SetterType, candidates: FloatArray, n_seeds: int | None = None) -> FloatArray:
        """The same for mixes or tables, given what sets them."""
        return self.scores_of(partial(start_candidates, setter), candidates, n_seeds)

    def windows(self, setter: SetterType, candidates: FloatArray) -> Windows:
        """Every candidate on every selection seed, window by window."""
        parts = self._run(partial(start_candidates, setter), candidates, self._n_seeds)
        shape = (-1, len(candidates), self._n_seeds)
        regimes = np.concatenate([part.regimes for part in parts], axis=1).reshape(shape)
        return Windows(
            np.concatenate([part.objective for part in parts]).reshape(shape[1:]),
            np.concatenate([part.window_objective for part in parts], axis=1).reshape(shape),
            regimes[:, 0],
        )
