"""Transitions to learn from, the newest ones, as arrays.

TorchRL's replay buffer draws from torch's global generator and keeps its place in objects of its own; this one draws from
the learner's, and all of it is in a state tree.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array
from envs.core.state import Tree
from hierarchy.team.stepping import Transition


class Replay:
    """The newest transitions.

    Parameters
    ----------
    size
        How many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size, self._n_seen = size, 0
        self._kept: dict[str, Array] = {}

    def __len__(self) -> int:
        return min(self._n_seen, self._size)

    def add(self, steps: Transition) -> None:
        """Take in a step of all envs; the oldest transitions make room."""
        n = len(steps.done)
        if not self._kept:
            self._kept = {name: np.zeros((self._size, *one.shape[1:]), one.dtype) for name, one in steps._asdict().items()}
        rows = (self._n_seen + np.arange(n)) % self._size
        for name, one in steps._asdict().items():
            self._kept[name][rows] = one
        self._n_seen += n

    def draw(self, n: int, rng: np.random.Generator) -> Transition:
        """Some of them ``(n, ...)``, each as likely as another."""
        rows = rng.integers(0, len(self), n)
        return Transition(**{name: one[rows] for name, one in self._kept.items()})

    def get_state(self) -> Tree:
        """What is kept, and how many there have been."""
        return {"n_seen": self._n_seen, "kept": {name: one[: len(self)].copy() for name, one in self._kept.items()}}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._n_seen, self._kept = int(state["n_seen"]), {}
        for name, one in state["kept"].items():
            self._kept[name] = np.zeros((self._size, *one.shape[1:]), one.dtype)
            self._kept[name][: len(one)] = one
