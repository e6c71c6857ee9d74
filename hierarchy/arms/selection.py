"""What is chosen on selection seeds: many candidates side by side, all on the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from envs import EnvConfig
from envs.core.arrays import Array, FloatArray
from envs.core.spec import WorldSpec
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import Batch, StartFunction, play_counted
from hierarchy.arms.scores import Scores
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

Candidates = Array | Sequence[Mapping[str, Any]]
"""An array ``(n, ...)``, or numbers of each candidate."""
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

    Attributes
    ----------
    n_steps
        Env steps that were done so far.
    """

    def __init__(self, config: ExperimentConfig, spec: WorldSpec, agents: Agents, jobs: Jobs) -> None:
        self.config, self.spec, self._agents, self._jobs = config, spec, agents, jobs
        self.n_steps = 0

    @staticmethod
    def steps_per_candidate(config: ExperimentConfig, n_seeds: int | None = None) -> int:
        """Env steps that a candidate takes on some selection seeds, or on all of `n_select_seeds`."""
        settings = config.ablation
        return (n_seeds or settings.n_select_seeds) * episode_steps(config, settings.select_windows)

    def batch(self, seeds: Sequence[int] | None = None, env: EnvConfig | None = None) -> Batch:
        """Selection seeds, or all of `n_select_seeds`, of the experiment's world or of another one."""
        settings = self.config.ablation
        every = range(settings.n_select_seeds)
        return Batch(env or self.config.env, "select", every if seeds is None else seeds, settings.select_windows)

    def play(self, start: StartFunction, batch: Batch) -> Episodes:
        """An episode in every env of a batch, in this process: what ``start`` keeps is there afterwards."""
        episodes, n_steps = play_counted(self.config, self._agents, {}, start, batch)
        self.n_steps += n_steps
        return episodes

    def _run(self, start: StartFunction, candidates: Candidates, batch: Batch, observes: bool = False) -> list[Episodes]:
        """An episode of each candidate on every seed of a batch, seeds varying fastest, in parts."""
        n_seeds = len(batch.env_ids)
        rows = _rows(candidates).repeat(n_seeds, axis=0)
        whole = batch._replace(env_ids=[*batch.env_ids] * len(candidates))
        n_parts = max(1, min(self._jobs.n_workers, len(rows) // MIN_ROWS))
        parts = self._parts(start, rows, whole, n_parts, observes)
        if len({len(part.regimes) for part in parts}) > 1:  # a world that ends of itself, in some parts before others
            return self._parts(start, rows, whole, 1, observes)
        return parts

    def _parts(self, start: StartFunction, rows: Array, whole: Batch, n_parts: int, observes: bool) -> list[Episodes]:
        jobs = []
        of_part = zip(np.array_split(rows, n_parts), np.array_split(np.array(whole.env_ids), n_parts), strict=True)
        for part, ids in of_part:
            batch = whole._replace(env_ids=ids.tolist())
            n_steps = len(ids) * episode_steps(self.config, whole.n_windows)
            arguments = (self.config, self._agents, {CANDIDATES: part}, start, batch, True, observes)
            jobs.append(self._jobs.submit(play_counted, *arguments, n_steps=n_steps, urgent=True))
        played = self._jobs.results(jobs)
        self.n_steps += sum(n_steps for _, n_steps in played)
        return [episodes for episodes, _ in played]

    def scores_of(self, start: StartFunction, candidates: Candidates, batch: Batch | None = None) -> Scores:
        """Of each candidate on every seed of a batch, or on all selection seeds, ``(n, n_seeds)``."""
        return Scores.of(self._run(start, candidates, batch or self.batch()), (len(candidates), -1))

    def scores(self, setter: SetterType, candidates: FloatArray, batch: Batch | None = None) -> Scores:
        """The same for mixes or tables, given what sets them."""
        return self.scores_of(partial(start_candidates, setter), candidates, batch)

    def windows(
        self, setter: SetterType, candidates: FloatArray, batch: Batch | None = None, observes: bool = False
    ) -> Windows:
        """Every candidate on the seeds of a batch, or on all selection seeds, window by window.

        With what an upper agent would observe at the beginning of each, if that is asked for.
        """
        batch = batch or self.batch()
        parts = self._run(partial(start_candidates, setter), candidates, batch, observes)
        shape = (-1, len(candidates), len(batch.env_ids))
        regimes = np.concatenate([part.regimes for part in parts], axis=1).reshape(shape)
        return Windows(
            Scores.of(parts, shape[1:]),
            np.concatenate([part.window_objective for part in parts], axis=1).reshape(shape),
            regimes[:, 0],
            _joined([part.observations for part in parts]).reshape(len(regimes), *shape[1:], -1) if observes else None,
            _joined([part.running for part in parts]).reshape(shape) if observes else None,
        )


def _joined(parts: Sequence[Array | None]) -> Array:
    """What was recorded of all parts of a batch ``(n_windows, n_envs, ...)``."""
    return np.concatenate([part for part in parts if part is not None], axis=1)


def _rows(candidates: Candidates) -> Array:
    """Candidates along the first axis of an array, of objects where they are mappings."""
    if isinstance(candidates, np.ndarray):
        return candidates
    rows = np.empty(len(candidates), object)
    rows[:] = candidates
    return rows
