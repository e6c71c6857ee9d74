"""What an upper agent went by in an episode: the last window alone, or what it remembers of those before as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32
from envs.core.spec import WorldSpec
from hierarchy.explaining.attribution import Contexts, contexts_of
from hierarchy.explaining.features import feature_names
from hierarchy.protocols import Actor
from hierarchy.upper.remembering import RememberingActor


class Observed(NamedTuple):
    """What an agent observed, window by window, and what it sets by that.

    Attributes
    ----------
    contexts
        What it sets, given what it observes.
    observations
        What it observed ``(n_windows, m)``.
    values
        The same in the units of their names.
    names
        Of its entries.
    """

    contexts: Contexts
    observations: FloatArray32
    values: FloatArray
    names: Sequence[str]


def observed_by(actor: Actor, spec: WorldSpec, windows: FloatArray32, features: FloatArray32) -> Observed:
    """What an agent observed in an episode, given its meta observations and their values ``(n_windows, n_features)`` from
    the first window on.
    """
    values, names = features.astype(np.float64), feature_names(spec)
    if not isinstance(actor, RememberingActor):
        return Observed(contexts_of(actor), windows, values, names)
    observed, memory = actor.observed(windows), actor.memory
    return Observed(contexts_of(actor.network), observed, memory.in_units(values, observed), memory.names(names))
