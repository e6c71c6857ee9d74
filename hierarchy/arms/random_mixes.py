"""The arm that sets a new mix every window, whatever happens."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.state import Tree, generator_state, set_generator_state
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Start
from hierarchy.pair import ContextSetter, Pair, Window


class RandomMixes(ContextSetter):
    """Uniform over the simplex, one mix per env from one generator."""

    def __init__(self, n_terms: int, seed: int) -> None:
        self._alpha = np.ones(n_terms)
        self._rng = np.random.default_rng(seed)

    def contexts(self, window: Window) -> FloatArray:
        return self._rng.dirichlet(self._alpha, len(window.context))

    def get_state(self) -> Tree:
        return {"generator": generator_state(self._rng)}

    def set_state(self, state: Tree) -> None:
        set_generator_state(self._rng, state["generator"])


def start_random(start: Start) -> Pair:
    """Random mixes of the experiment's seed."""
    return start.pair(RandomMixes(len(start.equal), start.config.seed))


RANDOM = Arm("mix", start_random)
