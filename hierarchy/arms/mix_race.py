"""The race for the best fixed mix: all mixes of a grid on a few seeds, the best half on twice as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32
from envs.core.rules import Numbers
from envs.core.simplex import simplex_grid
from envs.core.spec import WorldSpec
from hierarchy.arms.found import Found
from hierarchy.arms.racing import Race, is_clear, rungs
from hierarchy.arms.running import Batch
from hierarchy.arms.scores import Scores, ranking
from hierarchy.arms.selection import Selection
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held


class Windowed(NamedTuple):
    """A mix window by window."""

    objective: FloatArray  # (n_windows, n_met)
    observations: FloatArray32  # (n_windows, n_met, n_features), what an upper agent observes as a window begins
    running: BoolArray  # (n_windows, n_met), where an episode has not ended of itself before


class Raced(NamedTuple):
    """The mixes of a grid, and how far they got.

    Attributes
    ----------
    scores
        Of each on the seeds that it met.
    windows
        Window by window what was worth how much, and what was observed; none where nobody learns from it.
    """

    mixes: list[Numbers]
    scores: list[Scores]
    windows: list[Windowed]
    n_lower_steps: int

    def last(self, n: int) -> list[int]:
        """Places of the best ``n`` at most, best first, that met as many seeds as the best."""
        longest = max(map(len, self.scores))
        return [place for place in ranking(self.scores) if len(self.scores[place]) == longest][:n]


def grid_of(spec: WorldSpec, config: ExperimentConfig) -> list[Numbers]:
    """All mixes to choose from: the weight of every term."""
    grid = simplex_grid(spec.n_terms, config.ablation.grid_points).tolist()
    return [dict(zip(spec.terms, mix, strict=True)) for mix in grid]


def _rows(selection: Selection, mixes: Sequence[Numbers]) -> FloatArray:
    return np.array([[mix[term] for term in selection.spec.terms] for mix in mixes])


def score_mixes(selection: Selection, mixes: Sequence[Numbers], batch: Batch) -> Scores:
    """Of mixes on every seed of a batch ``(n_mixes, n_seeds)``."""
    return selection.scores(Held, _rows(selection, mixes), batch)


def score_seeds(selection: Selection, mixes: Sequence[Numbers], seeds: Sequence[int]) -> Scores:
    """The same on selection seeds."""
    return score_mixes(selection, mixes, selection.batch(seeds))


def _race(config: ExperimentConfig) -> Race:
    """Half of the mixes go on after a rung, and two at least, so that the best has a runner-up."""
    return Race(rungs(config.ablation.n_select_seeds), one_in=2, at_least=2)


def race(selection: Selection, observes: bool) -> Raced:
    """All mixes of the grid on a few seeds, the best half on twice as many, until the choice is clear or seeds run out.

    What happened window by window is kept if somebody ``observes`` it.
    """
    mixes, before = grid_of(selection.spec, selection.config), selection.n_steps
    parts: list[list[Windowed]] = [[] for _ in mixes]

    def score(places: Sequence[int], seeds: Sequence[int]) -> Scores:
        several = [mixes[place] for place in places]
        if not observes:
            return score_seeds(selection, several, seeds)
        windows = selection.windows(Held, _rows(selection, several), selection.batch(seeds), observes=True)
        assert windows.observations is not None
        assert windows.running is not None
        for at, place in enumerate(places):
            observed, running = windows.observations[:, at], windows.running[:, at]
            parts[place].append(Windowed(windows.window_objective[:, at], observed, running))
        return windows.scores

    scores = _race(selection.config).run(score, range(len(mixes)), is_clear)
    return Raced(mixes, scores, [_joined(part) for part in parts if part], selection.n_steps - before)


def race_mixes(selection: Selection, found: Mapping[str, Any]) -> Raced:
    """The same for arms, which ask for the best alone."""
    return race(selection, observes=False)


def _joined(of_rungs: Sequence[Windowed]) -> Windowed:
    """A mix on the seeds of all rungs: windows that there are in each, since worlds may end of themselves."""
    n_windows = min(len(one.objective) for one in of_rungs)
    parts = ([values[:n_windows] for values in of_each] for of_each in zip(*of_rungs, strict=True))
    objective, observations, running = (np.concatenate(part, axis=1) for part in parts)
    return Windowed(objective, observations, running)


def n_race_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the race, if it is run to its end."""
    n_episodes = _race(config).n_episodes(len(grid_of(spec, config)))
    return n_episodes * episode_steps(config, config.ablation.select_windows)


def n_last(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Mixes that get to the end of the race, if it is run to its end."""
    return _race(config).n_last(len(grid_of(spec, config)))


RACE = Found("race", race_mixes, n_race_steps, kept=False)
