"""Rounds of tries: after each, networks learn anew from all that was tried so far, and act in the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from scipy.optimize import nnls

from hierarchy.executors import Executor, in_order
from hierarchy.nets.advantages import Advantages
from hierarchy.protocols import Observer
from hierarchy.warm_start.branching import Tried
from hierarchy.warm_start.fitting import fit
from hierarchy.warm_starts import JobSize, WarmStart

N_EPOCHS, N_LAST_EPOCHS = 20, 40
"""Passes over all tries after a round, and after the last."""
Job = TypeVar("Job")
JobOf = Callable[[JobSize, int, Advantages | None, tuple[float, ...]], Job]
"""Makes a job, given its size, its number among all jobs, what was learned before, and the mix that contexts lie around."""


def improve(
    advantages: Advantages,
    settings: WarmStart,
    seed: int,
    n_steps_of_round: int,
    job_of: JobOf[Job],
    tried: Callable[[Job], Tried],
    workers: Executor,
    observers: Sequence[Observer],
) -> tuple[float, ...]:
    """Have ``advantages`` learn in all rounds.

    Parameters
    ----------
    n_steps_of_round
        Lower steps that a round takes.
    job_of, tried
        What is to be tried as a job for a worker, and what does it.
    observers
        Are told of steps and figures after every round.

    Returns
    -------
    The mix that contexts came to lie around; empty where they lie around none.
    """
    parts: list[Tried] = []
    around: tuple[float, ...] = ()
    for number in range(settings.rounds):
        policy = advantages if number else None
        first = number * len(settings.jobs)
        jobs = [(job_of(size, first + i, policy, around),) for i, size in enumerate(settings.jobs)]
        parts += in_order(workers, tried, jobs, lambda _: None)
        tries = Tried.together(parts)
        around = aligned(tries) if settings.aims and advantages.weighted else ()
        last = number == settings.rounds - 1
        error = fit(advantages, tries, N_LAST_EPOCHS if last else N_EPOCHS, [seed, number])
        nominal = float((advantages.best(tries.observations) == advantages.nominal).mean())
        n_steps = (number + 1) * n_steps_of_round
        for observer in observers:
            observer.on_step(n_steps)
            observer.on_metrics({"warm_start/error": error, "warm_start/nominal_share": nominal}, n_steps)
    return around


def aligned(tries: Tried) -> tuple[float, ...]:
    """The mix whose weighted gains in the terms are most like those in the objective: least squares with weights >= 0.

    Equal weights where no term has anything to do with it.
    """
    n_terms = tries.gains.shape[-1]
    weights, _ = nnls(tries.gains.reshape(-1, n_terms).astype(np.float64), tries.objective.ravel().astype(np.float64))
    total = weights.sum()
    return tuple((weights / total if total > 0 else np.full(n_terms, 1.0 / n_terms)).tolist())
