"""What candidates are worth on seeds, and how far beyond the bounds of their world they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.evidence.episodes import Episodes


@dataclass(frozen=True)
class Scores:
    """Of candidates, or of one.

    Attributes
    ----------
    objective
        On every seed that was met, ``(..., n_seeds)``.
    excess
        What each cost exceeds its bound by, as a share of it, or as it is where the bound is 0, ``(..., n_seeds,
        n_constraints)``; bounds are on means over seeds, so one may be above where another is below.
    """

    objective: FloatArray
    excess: FloatArray

    @classmethod
    def unbounded(cls, objective: FloatArray) -> Scores:
        """In a world without constraints."""
        return cls(objective, np.zeros((*objective.shape, 0)))

    @classmethod
    def of(cls, parts: Sequence[Episodes], shape: tuple[int, ...] = (-1,)) -> Scores:
        """Of episodes that ran apart, seeds varying fastest, in a shape ``(..., n_seeds)``."""
        objective = np.concatenate([one.objective for one in parts]).reshape(shape)
        excess = np.concatenate([_excess(one) for one in parts])
        return cls(objective, excess.reshape(*objective.shape, excess.shape[-1]))

    def __len__(self) -> int:
        """Seeds that were met."""
        return int(self.objective.shape[-1])

    @property
    def each(self) -> list[Scores]:
        """Of several candidates those of each."""
        return [Scores(*one) for one in zip(self.objective, self.excess, strict=True)]

    @property
    def best(self) -> int:
        """Of several candidates the place of the best, see :func:`ranking`."""
        return ranking(self.each)[0]

    def then(self, more: Scores) -> Scores:
        """These, and after them those of more seeds."""
        objective = np.concatenate([self.objective, more.objective], axis=-1)
        return Scores(objective, np.concatenate([self.excess, more.excess], axis=-2))

    @property
    def mean(self) -> float:
        """Of one candidate the mean objective."""
        return float(self.objective.mean())

    @property
    def beyond(self) -> float:
        """Of one candidate what mean costs exceed their bounds by, added up; 0 within all of them."""
        return float(self.excess.mean(-2).clip(0.0).sum())


def ranking(scores: Sequence[Scores]) -> list[int]:
    """Places of candidates, best first.

    First come those who met more seeds, of these those who are within the bounds or nearer to them, of these those with the
    higher mean.
    """
    return sorted(range(len(scores)), key=lambda i: (-len(scores[i]), scores[i].beyond, -scores[i].mean))


def _excess(episodes: Episodes) -> FloatArray:
    """Of every episode ``(n_seeds, n_constraints)``."""
    shares = [(cost - (bound := episodes.bounds[name])) / (bound or 1.0) for name, cost in episodes.costs.items()]
    return np.stack(shares, axis=-1) if shares else np.zeros((len(episodes.objective), 0))
