"""Arms that always set the same mix: equal, the best on selection seeds, a search's, one's own, the best in hindsight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from envs.core.rules import Trial
from envs.core.spec import WorldSpec
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Chosen, Found, chosen, has_its_terms
from hierarchy.arms.mix_race import RACE, Raced, grid_of, race, score_mixes, score_seeds
from hierarchy.arms.running import on_evaluation_seeds
from hierarchy.arms.scores import ranking
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Start
from hierarchy.arms.tuning import n_search_steps, tuned
from hierarchy.building.windows import episode_steps
from hierarchy.config import ExperimentConfig
from hierarchy.pair import Held, Pair

N_FIRST = 3
"""Best mixes of the grid that the search for a mix tries first."""


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
    return tuned(selection, partial(score_seeds, selection), partial(suggest_mix, selection.spec.terms), first)


def best_in_hindsight(selection: Selection, found: Mapping[str, Any]) -> Chosen:
    """The mix of the grid that is best on the evaluation seeds themselves."""
    mixes, before = grid_of(selection.spec, selection.config), selection.n_steps
    scores = score_mixes(selection, mixes, on_evaluation_seeds(selection.config))
    return chosen(mixes, scores.each, 0, selection.n_steps - before)


def n_hindsight_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps of the whole grid on evaluation seeds."""
    batch = on_evaluation_seeds(config)
    return len(grid_of(spec, config)) * len(batch.env_ids) * episode_steps(config, batch.n_windows)


def find_best(selection: Selection) -> dict[str, Any]:
    """The race and the best mix, by name; with windows where an upper agent learns from them."""
    raced = race(selection, observes=selection.config.upper.ahead_windows > 0)
    return {RACE.name: raced, FIXED_BEST.name: best_of_race(selection, {RACE.name: raced})}


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
