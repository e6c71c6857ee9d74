"""A batch over again that always takes the nominal action."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.batch import BatchEnv
from envs.core.dynamics import Info
from envs.core.state import Tree

Decided = tuple[FloatArray32, FloatArray, BoolArray, BoolArray, Info]
Decide = Callable[[BatchEnv, Array], Decided]
"""How a batch takes actions ``(n_envs, ...)``, and what they are rewarded with: see `BatchEnv.decide`."""


class Twin:
    """Has the same requests and contexts as another batch: what no action changes, both are rewarded with.

    Parameters
    ----------
    make
        Makes the batch, in a world that has a nominal action.
    decide
        How it takes it.
    """

    def __init__(self, make: Callable[[], BatchEnv], decide: Decide) -> None:
        self._batch, self._decide = make(), decide
        nominal = self._batch.world.nominal_action
        assert nominal is not None
        self._nominal = np.tile(nominal, (self._batch.n_rows, 1))

    def reset(self, seed: int | None, mask: BoolArray | None) -> None:
        """Begin episodes, see `BatchEnv.reset`."""
        self._batch.reset(seed, mask)

    def decide(self, context: FloatArray) -> FloatArray:
        """What the nominal action is rewarded with ``(n_envs,)`` under contexts ``(n_envs, n_terms)``."""
        self._batch.set_context(context)
        return self._decide(self._batch, self._nominal)[1]

    def get_state(self) -> Tree:
        """All that moves in the batch."""
        return self._batch.get_state()

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._batch.set_state(state)
