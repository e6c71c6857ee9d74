"""What the upper agent observes, by name and in its own units."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from envs.core.statistics import Statistics
from envs.core.world import World
from hierarchy.pair import meta_observation


def feature_names(spec: WorldSpec) -> list[str]:
    """The entries of a meta observation: the statistics of a window, then the weights of the context that was in force."""
    return [*spec.observed, *(f"context/{term}" for term in spec.terms)]


def features_of(world: World, statistics: Statistics | None, context: FloatArray) -> FloatArray:
    """Their values ``(n_envs, n_features)`` in the units of their names; zeros before the first window.

    What a world observes under a name that is none of its statistics is taken as it is observed, scaled.
    """
    names = world.statistics.observed_names
    columns = [*meta_observation(world, statistics, context)[:, : len(names)].T.astype(np.float64)]
    if statistics is not None:
        columns = [statistics.get(name, scaled) for name, scaled in zip(names, columns, strict=True)]
    return np.stack([*columns, *context.T], axis=-1)
