"""What an upper agent can begin with: the best fixed mix, or what the race for it says of single states.

All mixes of the race met the same requests, so window by window they can be held against each other. Trees learn what each
gained over the best one in the windows that followed, from what an upper agent would have observed. These are gains of mixes
that were set all along: what it costs to go from one to another is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import envs
from envs.core.arrays import FloatArray, FloatArray32
from envs.core.spec import WorldSpec
from hierarchy.arms.fixed import FIXED_BEST
from hierarchy.arms.mix_race import RACE, Raced, n_last
from hierarchy.building.upper import Beginning
from hierarchy.config import ExperimentConfig
from hierarchy.nets.window_memory import Recall, WindowMemory

N_TREES = 100
SHARE_OF_FEATURES = 0.5
"""That a split chooses among."""
MIN_WINDOWS = 100
"""Of a leaf: what a mix gains in single windows is mostly luck, and windows of one episode share most of what follows."""
SOFTNESS = 0.5
"""Mixes are weighted by the exponential of what they gain, in so many of its mean spreads among mixes."""
SMALLEST = 1e-9


def n_beginning_steps(config: ExperimentConfig) -> int:
    """Lower steps that finding a beginning takes at most."""
    return RACE.n_lower_steps(config, envs.describe(config.env)) if config.upper.from_fixed_best else 0


def beginnings(
    config: ExperimentConfig, spec: WorldSpec, found: Mapping[str, Any], memory: WindowMemory | None = None
) -> list[Beginning]:
    """What was found as beginnings, the best fixed mix first, and last that which an agent is to begin with; one that has a
    ``memory`` observes what that makes of windows.
    """
    fixed, ahead = Beginning(found[FIXED_BEST.name].mix(spec.terms)), config.upper.ahead_windows
    if ahead == 0:
        return [fixed]
    raced: Raced = found[RACE.name]
    places = raced.last(n_last(config, spec))
    return [fixed, fixed._replace(examples=examples_of(raced, places, spec, ahead, config.seed, memory))]


def examples_of(
    raced: Raced, places: list[int], spec: WorldSpec, ahead: int, seed: int, memory: WindowMemory | None = None
) -> tuple[FloatArray32, FloatArray]:
    """What to set in the states that mixes of a race met.

    Parameters
    ----------
    places
        Of the mixes that are held against each other, the best first; all met the same seeds.
    ahead
        Windows over which they are, from each window on: what a mix does shows in those that follow.
    seed
        Of the trees.
    memory
        What goes before the agent that is to begin like that; trees go by the last window alone.

    Returns
    -------
    Observations ``(n, m)``, and the mix to set for each ``(n, k)``.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    windows = [raced.windows[place] for place in places]
    n_windows = min(len(one.objective) for one in windows)  # they differ where worlds end of themselves
    objectives = np.stack([following(one.objective[:n_windows], ahead) for one in windows])
    running = np.logical_and.reduce([one.running[:n_windows] for one in windows])
    gains = (objectives - objectives[0])[:, running]  # (n_mixes, n)
    observed = [one.observations[:n_windows][running] for one in windows]
    trees = ExtraTreesRegressor(N_TREES, min_samples_leaf=MIN_WINDOWS, max_features=SHARE_OF_FEATURES, random_state=seed)
    trees.fit(_measured(observed[0], spec), gains.T)
    observations = np.concatenate(observed)
    mixes = np.array([[raced.mixes[place][term] for term in spec.terms] for place in places])
    expected = trees.predict(_measured(observations, spec)).reshape(len(observations), -1)
    remembered = [_remembered(memory, one.observations[:n_windows])[running] for one in windows]
    return np.concatenate(remembered), weighted(expected, mixes)


def _remembered(memory: WindowMemory | None, observations: FloatArray32) -> FloatArray32:
    """What an agent observes in episodes side by side ``(n_windows, n_seeds, m)``."""
    recall = Recall(memory, observations.shape[1])
    return np.stack([recall.observe(window) for window in observations])


def _measured(observations: FloatArray32, spec: WorldSpec) -> FloatArray32:
    """Observations without the mix in force, which was always the same where a mix was set all along."""
    return observations[:, : len(spec.observed)]


def following(objective: FloatArray, ahead: int) -> FloatArray:
    """Mean over the next windows of each ``(n_windows, n_seeds)``, fewer near the end."""
    return np.stack([objective[at : at + ahead].mean(0) for at in range(len(objective))])


def weighted(gains: FloatArray, mixes: FloatArray) -> FloatArray:
    """Means of mixes ``(n_mixes, k)``, the more of one the more it gains ``(n, n_mixes)``: they are mixes as well."""
    softness = SOFTNESS * gains.std(-1).mean() + SMALLEST
    weights = np.exp((gains - gains.max(-1, keepdims=True)) / softness)
    means: FloatArray = weights @ mixes / weights.sum(-1, keepdims=True)
    return means
