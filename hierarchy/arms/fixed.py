"""Arms that always set the same mix: equal, the best on selection seeds, a search's, one's own, the best in hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import Array, FloatArray, FloatArray32
from envs.core.rules import Numbers, Trial
from envs.core.simplex import simplex_grid
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Chosen, Found, chosen, has_its_terms
from hierarchy.arms.racing import Race, is_clear, ranking, rungs
from hierarchy.arms.running import Batch
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tuning import n_search_steps, tuned
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair

N_FIRST = 3
"""Best mixes of the grid that the search for a mix tries first."""


class Raced(NamedTuple):
    """The mixes of a grid, and how far they got.

    Attributes
    ----------
    scores
        Objective of each on the seeds that it met, ``(n_met,)``.
    windows
        The same window by window ``(n_windows, n_met)``, and what an upper agent would have observed at their beginning
        ``(n_windows, n_met, n_features)``.
    """

    mixes: list[Numbers]
    scores: list[FloatArray]
    windows: list[tuple[FloatArray, FloatArray32]]
    n_lower_steps: int


def grid_of(spec: WorldSpec, config: ExperimentConfig) -> list[Numbers]:
    """All mixes to choose from: the weight of every term."""
    grid = simplex_grid(spec.n_terms, config.ablation.grid_points).tolist()
    return [dict(zip(spec.terms, mix, strict=True)) for mix in grid]


def _rows(selection: Selection, mixes: Sequence[Numbers]) -> FloatArray:
    return np.array([[mix[term] for term in selection.spec.terms] for mix in mixes])


def _score(selection: Selection, mixes: Sequence[Numbers], batch: Batch) -> FloatArray:
    return selection.scores(Held, _rows(selection, mixes), batch)


def _score_seeds(selection: Selection, mixes: Sequence[Numbers], seeds: Sequence[int]) -> FloatArray:
    return _score(selection, mixes, selection.batch(seeds))


def _race(config: ExperimentConfig) -> Race:
    """Half of the mixes go on after a rung, and two at least, so that the best has a runner-up."""
    return Race(rungs(config.ablation.n_select_seeds), one_in=2, at_least=2)


def race_mixes(selection: Selection, found: Mapping[str, Any]) -> Raced:
    """All mixes of the grid on a few seeds, the best half on twice as many, until the choice is clear or seeds run out."""
    mixes, before = grid_of(selection.spec, selection.config), selection.n_steps
    parts: list[list[tuple[FloatArray, FloatArray32]]] = [[] for _ in mixes]

    def score(places: Sequence[int], seeds: Sequence[int]) -> FloatArray:
        windows = selection.windows(
            Held, _rows(selection, [mixes[i] for i in places]), selection.batch(seeds), observes=True
        )
        assert windows.observations is not None
        for at, place in enumerate(places):
            parts[place].append((windows.window_objective[:, at], windows.observations[:, at]))
        return windows.objective

    scores = _race(selection.config).run(score, range(len(mixes)), is_clear)
    windows = [
        (_joined(objective), _joined(observed)) for objective, observed in (zip(*part, strict=True) for part in parts)
    ]
    return Raced(mixes, scores, windows, selection.n_steps - before)


def _joined(rungs: Sequence[Array]) -> Array:
    """Windows of the seeds of all rungs: as many as there are in each, which differs where worlds end of themselves."""
    n_windows = min(map(len, rungs))
    return np.concatenate([rung[:n_windows] for rung in rungs], axis=1)


def n_race_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the race, if it is run to its end."""
    n_episodes = _race(config).n_episodes(len(grid_of(spec, config)))
    return n_episodes * episode_steps(config, config.ablation.select_windows)


def best_of_race(selection: Selection, found: Mapping[str, Any]) -> Chosen:
    """The best mix."""
    raced: Raced = found[RACE.name]
    longest = max(map(len, raced.scores))
    n_cut_short = sum(len(scores) < longest for scores in raced.scores)
    return chosen(raced.mixes, raced.scores, n_cut_short, raced.n_lower_steps)


def suggest_mix(terms: Sequence[str], trial: Trial) -> dict[str, float]:
    """A mix: a weight in [0, 1] for every term, divided by their sum."""
    weights = {term: trial.suggest_float(term, 0.0, 1.0) for term in terms}
    total = sum(weights.values())
    return {term: weight / total if total > 0 else 1.0 / len(terms) for term, weight in weights.items()}


def tune_mix(selection: Selection, found: Mapping[str, Any]) -> Chosen:
    """The best mix of a search that begins with the best of the grid."""
    raced: Raced = found[RACE.name]
    first = [raced.mixes[place] for place in ranking(raced.scores)[:N_FIRST]]
    return tuned(selection, partial(_score_seeds, selection), partial(suggest_mix, selection.spec.terms), first)


def _hindsight_batch(config: ExperimentConfig) -> Batch:
    settings = config.ablation
    return Batch(config.env, "evaluate", range(settings.n_seeds), settings.episode_windows)


def best_in_hindsight(selection: Selection, found: Mapping[str, Any]) -> Chosen:
    """The mix of the grid that is best on the evaluation seeds themselves."""
    mixes, before = grid_of(selection.spec, selection.config), selection.n_steps
    scores = _score(selection, mixes, _hindsight_batch(selection.config))
    return chosen(mixes, list(scores), 0, selection.n_steps - before)


def n_hindsight_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the whole grid on evaluation seeds."""
    batch = _hindsight_batch(config)
    return len(grid_of(spec, config)) * len(batch.env_ids) * episode_steps(config, batch.n_windows)


def find_best(selection: Selection) -> dict[str, Any]:
    """The race and the best mix, by name."""
    raced = race_mixes(selection, {})
    return {RACE.name: raced, FIXED_BEST.name: best_of_race(selection, {RACE.name: raced})}


RACE = Found("race", race_mixes, n_race_steps, kept=False)
FIXED_BEST = Found("fixed_best", best_of_race, needs=(RACE,), fits=has_its_terms)
TUNED_STATIC = Found("tuned_static", tune_mix, n_search_steps, needs=(RACE,), one_job=True, fits=has_its_terms)
FIXED_HINDSIGHT = Found("fixed_hindsight", best_in_hindsight, n_hindsight_steps, kept=False)


def start_equal(start: Start) -> Pair:
    """Equal weights."""
    return start.pair(Held(start.equal))


def start_chosen(name: str, start: Start) -> Pair:
    """The mix that was chosen under a name."""
    mix: Chosen = start.found[name]
    return start.pair(Held(mix.mix(start.simulation.world.term_names)))


def start_custom(start: Start) -> Pair:
    """The mix of the settings."""
    weights = start.config.ablation.fixed
    assert weights is not None
    return start.pair(Held(np.asarray(weights) / sum(weights)))


def wants_tuned(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """It takes many episodes of the lower agent, so it must be asked for."""
    return config.ablation.tuned_static


def wants_hindsight(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """It knows the evaluation seeds, so it is asked for with the oracles."""
    return config.ablation.oracles


def wants_custom(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """There is a mix in the settings."""
    return config.ablation.fixed is not None


EQUAL = Arm("mix", start_equal)
BEST = Arm("mix", partial(start_chosen, FIXED_BEST.name), needs=(FIXED_BEST,))
TUNED = Arm("mix", partial(start_chosen, TUNED_STATIC.name), wants_tuned, needs=(TUNED_STATIC,))
HINDSIGHT = Arm(
    "mix", partial(start_chosen, FIXED_HINDSIGHT.name), wants_hindsight, needs=(FIXED_HINDSIGHT,), knows="evaluation seeds"
)
CUSTOM = Arm("mix", start_custom, wants_custom)
