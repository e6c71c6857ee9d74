"""Candidates meet more and more seeds as long as they are among the best; nothing here knows how a score comes about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.arms.scores import Scores, ranking

Score = Callable[[Sequence[Any], Sequence[int]], Scores]
"""From candidates and seeds to scores ``(n_candidates, n_seeds)``."""
Decided = Callable[[Sequence[Scores]], bool]
"""Whether the scores of those who still run, who met the same seeds, say enough."""
N_RUNGS = 3
"""With a fourth the first would be an eighth of all seeds: by bad luck few of them meet a surge, and what is made for one is
thrown out."""
N_ERRORS = 5.0
"""Standard errors by which the best must be ahead of the runner-up for a choice to be clear."""


def rungs(n_seeds: int) -> tuple[int, ...]:
    """Seeds that a candidate has met after each rung: a quarter of all, then twice as many each time."""
    return tuple(sorted({max(1, n_seeds >> k) for k in range(N_RUNGS)}))


def never(scores: Sequence[Scores]) -> bool:
    """All rungs are run."""
    return False


def is_clear(scores: Sequence[Scores]) -> bool:
    """Whether the best is ahead of the runner-up by five standard errors of their difference, which is paired.

    In a world with bounds it never is: more seeds may show that the best is beyond them.
    """
    if len(scores) < 2 or len(scores[0]) < 2 or scores[0].excess.size:
        return False
    best, second = (scores[place].objective for place in ranking(scores)[:2])
    gain = best - second
    return bool(gain.mean() > N_ERRORS * standard_error(gain))


def standard_error(values: FloatArray) -> float:
    """Of the mean of values ``(n_seeds,)``, of which there are at least two."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


@dataclass(frozen=True)
class Race:
    """Successive halving, or thirding.

    Attributes
    ----------
    rungs
        Seeds that a candidate has met after each rung.
    one_in
        One candidate in so many goes on after a rung, rounded up.
    at_least
        So many go on in any case.
    """

    rungs: tuple[int, ...]
    one_in: int
    at_least: int = 1

    def _n_left(self, n: int) -> int:
        return min(n, max(self.at_least, -(-n // self.one_in)))

    def n_last(self, n_candidates: int) -> int:
        """Candidates that meet all seeds."""
        for _ in self.rungs[1:]:
            n_candidates = self._n_left(n_candidates)
        return n_candidates

    def n_episodes(self, n_candidates: int) -> int:
        """Episodes that it takes, unless it is decided before its last rung."""
        n, total = n_candidates, 0
        for before, rung in zip((0, *self.rungs), self.rungs, strict=False):
            total += n * (rung - before)
            n = self._n_left(n)
        return total

    def run(
        self, score: Score, candidates: Sequence[Any], decided: Decided = never, seeds: Sequence[int] = ()
    ) -> list[Scores]:
        """The scores of every candidate on the seeds that it met: the first of ``seeds``, or of all from 0."""
        scores: dict[int, Scores] = {}
        order, running = seeds or range(self.rungs[-1]), list(range(len(candidates)))
        for before, rung in zip((0, *self.rungs), self.rungs, strict=False):
            fresh = score([candidates[i] for i in running], order[before:rung])
            for i, more in zip(running, fresh.each, strict=True):
                scores[i] = scores[i].then(more) if i in scores else more
            of_running = [scores[i] for i in running]
            if decided(of_running):
                break
            best = set(ranking(of_running)[: self._n_left(len(running))])
            running = [one for place, one in enumerate(running) if place in best]
        return [scores[i] for i in range(len(candidates))]
