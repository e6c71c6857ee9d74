"""Candidates meet more and more seeds as long as they are among the best; nothing here knows how a score comes about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray

Score = Callable[[Sequence[Any], Sequence[int]], FloatArray]
"""From candidates and seeds to the objective ``(n_candidates, n_seeds)``."""
Decided = Callable[[FloatArray], bool]
"""Whether the scores ``(n_candidates, n_seeds)`` of those who still run say enough."""
N_RUNGS = 3
"""With a fourth the first would be an eighth of all seeds: by bad luck few of them meet a surge, and what is made for one is
thrown out."""
N_ERRORS = 5.0
"""Standard errors by which the best must be ahead of the runner-up for a choice to be clear."""


def rungs(n_seeds: int) -> tuple[int, ...]:
    """Seeds that a candidate has met after each rung: a quarter of all, then twice as many each time."""
    return tuple(sorted({max(1, n_seeds >> k) for k in range(N_RUNGS)}))


def never(scores: FloatArray) -> bool:
    """All rungs are run."""
    return False


def is_clear(scores: FloatArray) -> bool:
    """Whether the best ``(n_candidates, n_seeds)`` is ahead of the runner-up by five standard errors of their difference.

    Both met the same seeds, so the difference is paired.
    """
    if scores.shape[0] < 2 or scores.shape[1] < 2:
        return False
    second, best = scores[scores.mean(-1).argsort(kind="stable")[-2:]]
    gain = best - second
    return bool(gain.mean() > N_ERRORS * standard_error(gain))


def standard_error(scores: FloatArray) -> float:
    """Of the mean of scores ``(n_seeds,)``, of which there are at least two."""
    return float(scores.std(ddof=1) / np.sqrt(len(scores)))


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
    ) -> list[FloatArray]:
        """The scores of every candidate on the seeds that it met, ``(n_met,)``: the first of ``seeds``, or of all from 0."""
        scores, order = [np.zeros(0)] * len(candidates), seeds or range(self.rungs[-1])
        running = list(range(len(candidates)))
        for before, rung in zip((0, *self.rungs), self.rungs, strict=False):
            fresh = score([candidates[i] for i in running], order[before:rung])
            for i, values in zip(running, fresh, strict=True):
                scores[i] = np.concatenate([scores[i], values])
            if decided(np.stack([scores[i] for i in running])):
                break
            best = set(ranking([scores[i] for i in running])[: self._n_left(len(running))])
            running = [one for place, one in enumerate(running) if place in best]
        return scores


def ranking(scores: Sequence[FloatArray]) -> list[int]:
    """Places of candidates, best first: those who met more seeds, then those with the higher mean."""
    return sorted(range(len(scores)), key=lambda i: (-len(scores[i]), -scores[i].mean()))
