"""What an upper agent can begin with: the best fixed mix, or what the race for it says of single states.

All mixes of the race met the same requests, so window by window they can be held against each other. Trees learn what each
mix gains over the best one from what an upper agent would have observed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from envs.core.arrays import FloatArray, FloatArray32
from hierarchy.arms.fixed import FIXED_BEST, RACE, Raced
from hierarchy.arms.racing import ranking
from hierarchy.building.upper import Beginning
from hierarchy.config import ExperimentConfig

N_TREES = 100
SHARE_OF_FEATURES = 0.5
"""That a split chooses among."""
MIN_WINDOWS = 100
"""Of a leaf: what a mix gains in single windows is mostly luck."""
SOFTNESS = 0.5
"""Mixes are weighted by the exponential of what they gain, in so many of its mean spreads among mixes."""
SMALLEST = 1e-9


def beginnings(config: ExperimentConfig, terms: Sequence[str], found: Mapping[str, Any]) -> list[Beginning]:
    """What was found as beginnings, the best fixed mix first, and last that which an agent is to begin with."""
    fixed = Beginning(found[FIXED_BEST.name].mix(terms))
    if config.upper.ahead_windows == 0:
        return [fixed]
    return [fixed, fixed._replace(examples=examples_of(found[RACE.name], terms, config.upper.ahead_windows, config.seed))]


def examples_of(raced: Raced, terms: Sequence[str], ahead: int, seed: int) -> tuple[FloatArray32, FloatArray] | None:
    """What to set in the states that mixes met which got to the end of a race.

    Parameters
    ----------
    terms
        Of a mix, in order.
    ahead
        Windows over which a mix is held against the best one, from each window on: what it does shows in those that follow.
    seed
        Of the trees.

    Returns
    -------
    Observations ``(n, n_features)``, and the mix to set for each ``(n, k)``; None where there is nothing to learn from: one
    mix, or too few windows for two leaves.
    """
    longest = max(map(len, raced.scores))
    last = [place for place in ranking(raced.scores) if len(raced.scores[place]) == longest]
    n_windows = min(len(raced.windows[place][0]) for place in last)
    if len(last) < 2 or n_windows * longest < 2 * MIN_WINDOWS:
        return None
    objectives = np.stack([following(raced.windows[place][0][:n_windows], ahead) for place in last])
    observed = [raced.windows[place][1][:n_windows].reshape(n_windows * longest, -1) for place in last]
    trees = ExtraTreesRegressor(N_TREES, min_samples_leaf=MIN_WINDOWS, max_features=SHARE_OF_FEATURES, random_state=seed)
    trees.fit(observed[0], (objectives - objectives[0]).reshape(len(last), -1).T)
    observations = np.concatenate(observed)
    mixes = np.array([[raced.mixes[place][term] for term in terms] for place in last])
    return observations, weighted(trees.predict(observations), mixes)


def following(objective: FloatArray, ahead: int) -> FloatArray:
    """Mean over the next windows of each ``(n_windows, n_seeds)``, fewer near the end."""
    return np.stack([objective[at : at + ahead].mean(0) for at in range(len(objective))])


def weighted(gains: FloatArray, mixes: FloatArray) -> FloatArray:
    """Means of mixes ``(n_mixes, k)``, the more of one the more it gains ``(n, n_mixes)``: they are mixes as well."""
    softness = SOFTNESS * gains.std(-1).mean() + SMALLEST
    weights = np.exp((gains - gains.max(-1, keepdims=True)) / softness)
    means: FloatArray = weights @ mixes / weights.sum(-1, keepdims=True)
    means /= means.sum(-1, keepdims=True)  # a sum of 1 to the bit, as contexts must have
    return means
