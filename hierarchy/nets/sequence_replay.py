"""Steps of many envs in the order in which they came, for a learner off policy that remembers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray32
from envs.core.state import Tree


class Steps(NamedTuple):
    """A step of every env ``(n_envs, ...)``, or sequences of them ``(length, n, ...)``."""

    observation: FloatArray32
    start: BoolArray  # an episode begins
    memory: FloatArray32  # before the step
    action: Array
    reward: FloatArray32
    terminated: BoolArray
    truncated: BoolArray  # by a time limit: what comes next is of another episode, and not known


class SequenceReplay:
    """The newest steps of every env.

    Parameters
    ----------
    size
        Steps that are kept, over all envs.
    n_envs
        Envs side by side.
    """

    def __init__(self, size: int, n_envs: int) -> None:
        self._n_steps, self._n_envs = max(size // n_envs, 1), n_envs
        self._n_seen = 0
        self._kept: dict[str, Array] = {}

    def __len__(self) -> int:
        """Steps of each env."""
        return min(self._n_seen, self._n_steps)

    def add(self, steps: Steps) -> None:
        """Take in a step of all envs; the oldest one makes room."""
        if not self._kept:
            self._kept = {name: np.zeros((self._n_steps, *one.shape), one.dtype) for name, one in steps._asdict().items()}
        for name, one in steps._asdict().items():
            self._kept[name][self._n_seen % self._n_steps] = one
        self._n_seen += 1

    def draw(self, n: int, length: int, rng: np.random.Generator) -> Steps:
        """``n`` sequences of consecutive steps, each as likely as another.

        Raises
        ------
        ValueError
            Fewer steps are kept of an env.
        """
        if len(self) < length:
            raise ValueError(f"length must be <= {len(self)}, the steps of each env, got {length}")
        first = self._n_seen - len(self) + rng.integers(0, len(self) - length + 1, n)
        rows = (first[None, :] + np.arange(length)[:, None]) % self._n_steps
        env = rng.integers(0, self._n_envs, n)[None, :]
        return Steps(**{name: one[rows, env] for name, one in self._kept.items()})

    def get_state(self) -> Tree:
        """What is kept, and how many steps there have been."""
        return {"n_seen": self._n_seen, "kept": {name: one[: len(self)].copy() for name, one in self._kept.items()}}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        self._n_seen, self._kept = int(state["n_seen"]), {}
        kept: dict[str, Any] = state["kept"]
        for name, one in kept.items():
            self._kept[name] = np.zeros((self._n_steps, *one.shape[1:]), one.dtype)
            self._kept[name][: len(one)] = one
