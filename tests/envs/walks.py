"""A small world composed of parts, for the tests of composition: a walk whose valid steps depend on where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import BoolArray, FloatArray
from envs.core.dynamics import Dynamics, Transition
from envs.core.rng import Role
from envs.core.terms import RewardTerm
from envs.core.world import World

SIZE = 5


class Walk(Dynamics):
    """A walk over places 0 to 4 by steps of one to either side or none; no wall is walked into.

    Parameters
    ----------
    ends
        Place 4 is an end.
    wind
        Probability that a step is not taken.
    """

    masks_actions = True
    action_space = spaces.Discrete(3)

    def __init__(
        self, env_ids: Sequence[int], seed: int = 0, role: Role = "train", ends: bool = True, wind: float = 0.0
    ) -> None:
        super().__init__(env_ids, seed, role)
        self._ends, self._wind = ends, wind
        self.place = np.zeros(self.n_envs, np.int64)
        self.calls: list[str] = []

    def _reached(self) -> Transition:
        steps = np.arange(-1, 2)
        valid = (self.place[:, None] + steps >= 0) & (self.place[:, None] + steps < SIZE)
        return Transition((self.place == SIZE - 1) & self._ends, valid)

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        self.calls.append("reset_dynamics")
        self.place[mask] = 1
        return self._reached()

    def step_dynamics(self, action: NDArray[Any], running: BoolArray) -> Transition:
        self.calls.append("step_dynamics")
        taken = running & (self.uniform(1, running)[:, 0] >= self._wind)
        self.place = np.where(taken, self.place + action - 1, self.place)
        return self._reached()


class Place:
    """Observes the place; notes when it is asked."""

    carries_action_set = False
    space = spaces.Box(0, SIZE, (1,), np.float32)

    def before_reset(self, dynamics: Walk, mask: BoolArray) -> None:
        dynamics.calls.append("observation.before_reset")

    def extract(self, dynamics: Walk, moved: BoolArray) -> NDArray[np.float32]:
        dynamics.calls.append("observation.extract")
        return dynamics.place[:, None].astype(np.float32)


class Distance(RewardTerm):
    """Steps left to the end; notes when it is asked."""

    def before_reset(self, dynamics: Walk, mask: BoolArray) -> None:
        dynamics.calls.append("term.before_reset")

    def extract(self, dynamics: Walk, moved: BoolArray) -> FloatArray:
        dynamics.calls.append("term.extract")
        return (SIZE - 1 - dynamics.place).astype(np.float64)


class Calls:
    """The place twice over; notes when it is asked."""

    def before_reset(self, dynamics: Walk, mask: BoolArray) -> None:
        dynamics.calls.append("information.before_reset")

    def extract(self, dynamics: Walk, moved: BoolArray) -> dict[str, Any]:
        dynamics.calls.append("information.extract")
        return {"double": 2 * dynamics.place}


def make(env_ids: Sequence[int], seed: int, role: Role, ends: bool = False) -> World:
    """A windy walk for `env.factory`, without an end unless ``ends``."""
    far = Distance()
    terms: dict[str, RewardTerm] = {"far": far, "farther": far**2, "so_far": 0.1 * far.cumulative()}
    return World(Walk(env_ids, seed, role, ends, wind=0.3), Place(), terms)


def make_ending(env_ids: Sequence[int], seed: int, role: Role) -> World:
    """The same walk with an end: `ComposedConfig(factory="tests.envs.walks:make_ending")` is a world that terminates."""
    return make(env_ids, seed, role, ends=True)
