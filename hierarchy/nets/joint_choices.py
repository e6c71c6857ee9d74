"""Several choices as one: of all combinations, counted as the last choice moves fastest."""

from __future__ import annotations

import math

import numpy as np
import torch as th

from envs.core.arrays import Array, IntArray
from hierarchy.nets.action_form import ActionForm

MOST_JOINT = 1_000
"""Combinations at most: each has a value of its own, and has to be met to be known."""


class JointChoices:
    """What an action of choices is as one choice, and back.

    Parameters
    ----------
    action
        One choice or several.
    """

    def __init__(self, action: ActionForm) -> None:
        self._sizes, self._scalar = action.sizes, action.kind == "discrete"
        self.n = math.prod(self._sizes)

    def encode(self, actions: Array) -> IntArray:
        """The combinations ``(n,)`` of actions ``(n, ...)`` in the shape of the space."""
        return np.asarray(np.ravel_multi_index(tuple(actions.reshape(len(actions), -1).T), self._sizes), np.int64)

    def mode(self, parameters: th.Tensor) -> th.Tensor:
        """The actions, in the shape of the space, whose entries of ``parameters (n, n_combinations)`` are the largest."""
        index = parameters.argmax(-1)
        if self._scalar:
            return index
        strides = [math.prod(self._sizes[at + 1 :]) for at in range(len(self._sizes))]
        return th.stack([index // stride % size for stride, size in zip(strides, self._sizes, strict=True)], dim=1)
