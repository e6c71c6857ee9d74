"""Numbers by search on selection seeds: Optuna's TPE asks, a race answers, with one budget for whatever is searched for."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.core.rules import Numbers, Trial
from envs.core.spec import WorldSpec
from hierarchy.arms.found import Chosen, chosen
from hierarchy.arms.racing import Race, Score, rungs
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.selection import Selection
from hierarchy.building.windows import episode_steps
from hierarchy.config import AblationConfig, ExperimentConfig

if TYPE_CHECKING:
    import optuna

BATCH = 16
"""Trials that are asked for at once and run side by side."""
ONE_IN = 3
"""One trial of a batch in so many goes on after a rung."""
N_FINALISTS = 3
"""The best of all trials that were run in full meet as many seeds again, which none of them was chosen by."""

Suggest = Callable[[Trial], dict[str, Any]]
"""Draws the numbers of a trial."""


@dataclass(frozen=True)
class Budget:
    """How much a search may do.

    Attributes
    ----------
    n_trials
        Numbers that are tried.
    n_seeds
        Episodes of a trial that is not cut short.
    """

    n_trials: int
    n_seeds: int

    @classmethod
    def of(cls, settings: AblationConfig) -> Budget:
        """What settings allow."""
        return cls(settings.n_trials, settings.n_trial_seeds)

    @property
    def race(self) -> Race:
        """What a batch runs."""
        return Race(rungs(self.n_seeds), ONE_IN)

    @property
    def batches(self) -> list[int]:
        """Trials of each batch."""
        return [min(BATCH, self.n_trials - begin) for begin in range(0, self.n_trials, BATCH)]

    @property
    def n_episodes(self) -> int:
        """Episodes of the whole search."""
        n_in_full = sum(map(self.race.n_last, self.batches))
        return sum(map(self.race.n_episodes, self.batches)) + min(N_FINALISTS, n_in_full) * self.n_seeds


def study_of(sampler: optuna.samplers.BaseSampler, first: Sequence[Numbers]) -> optuna.Study:
    """A study that asks for ``first`` first, then for what a sampler draws."""
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for numbers in first:
        study.enqueue_trial(dict(numbers))
    return study


def tpe(seed: int) -> optuna.samplers.BaseSampler:
    """Numbers are drawn together, apart from those that are still being tried."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def search(
    score: Score, suggest: Suggest, first: Sequence[Numbers], budget: Budget, seed: int
) -> tuple[list[Numbers], list[Scores]]:
    """All numbers that were tried, and their scores; those of the finalists on twice the seeds of a trial.

    Every batch begins with other seeds than the one before: on a few that bring no surge whatever is made for one loses, and
    would do so in all batches. A trial is told as its mean gain over the first one that was run in full, on the seeds that
    both met: what a seed is like for all says nothing about a trial that was cut short before it met that seed.
    """
    study, race = study_of(tpe(seed), first), budget.race
    tried: list[Numbers] = []
    scores: list[Scores] = []
    reference: Scores | None = None  # by seed
    for place, n in enumerate(budget.batches):
        trials, numbers = [], []
        for _ in range(n):
            trials.append(study.ask())
            numbers.append(suggest(trials[-1]))  # before the next is asked for, which keeps its distance
        seeds = np.roll(range(budget.n_seeds), -place * race.rungs[0]).tolist()
        batch = race.run(score, numbers, seeds=seeds)
        if reference is None:
            reference = batch[ranking(batch)[0]]
        for trial, met in zip(trials, batch, strict=True):
            trial.set_constraint("beyond", met.beyond)
            study.tell(trial, float((met.objective - reference.objective[seeds[: len(met)]]).mean()))
        tried += numbers
        scores += batch
    return tried, _final(score, tried, scores, budget.n_seeds)


def _final(score: Score, tried: Sequence[Numbers], scores: list[Scores], n_seeds: int) -> list[Scores]:
    """The scores, where the finalists' go on over as many seeds again."""
    finalists = [place for place in ranking(scores)[:N_FINALISTS] if len(scores[place]) == n_seeds]
    fresh = score([tried[place] for place in finalists], range(n_seeds, 2 * n_seeds))
    more = dict(zip(finalists, fresh.each, strict=True))
    return [met.then(more[place]) if place in more else met for place, met in enumerate(scores)]


def tuned(selection: Selection, score: Score, suggest: Suggest, first: Sequence[Numbers]) -> Chosen:
    """The best numbers of a search, and what is known of them."""
    budget, before = Budget.of(selection.config.ablation), selection.n_steps
    tried, scores = search(score, suggest, first, budget, selection.config.seed)
    n_cut_short = sum(len(met) < budget.n_seeds for met in scores)
    return chosen(tried, scores, n_cut_short, selection.n_steps - before)


def n_seeds_met(config: ExperimentConfig) -> int:
    """Selection seeds, from the first on, that a search meets: those of its trials, and as many that its finalists meet."""
    return 2 * Budget.of(config.ablation).n_seeds


def n_search_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of a search."""
    return Budget.of(config.ablation).n_episodes * episode_steps(config, config.ablation.select_windows)
