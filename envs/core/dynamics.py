"""The parts that environments are composed of, on a batch: dynamics that move it, and functions of what is measured.

At a reset `before_reset` of every function is called, the dynamics begin the episode, and `extract` of every function is
called; it is called again after every step. Reward terms are parts of their own, in `envs.core.terms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from envs.core.action_sets import project
from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.rng import WORLD, Role, fill_uniform, streams
from envs.core.state import Tree, attributes_of, restore_attributes

Info = dict[str, Any]


class Transition(NamedTuple):
    """What a reset or a step of the dynamics leads to. None stands for: no env terminates, every action is valid."""

    terminated: BoolArray | None = None  # (n_envs,)
    action_set: BoolArray | None = None  # (n_envs, sum of choice sizes), see `envs.core.action_sets`


class Dynamics:
    """How a batch of a world moves. A world fills in `action_space`, :meth:`reset_dynamics` and :meth:`step_dynamics`.

    Parameters
    ----------
    env_ids
        Names of the envs of the batch: with the seed and the role they fix each env's streams.
    seed, role
        Master seed, and what the batch is for: streams of different roles share nothing.

    Attributes
    ----------
    streams
        Random streams ``(n_envs, n_purposes, 4)``, see `envs.core.rng`.
    n_agents
        Agents that act in each env, all alike. What they observe, do and are paid has a row for every agent, those of an env
        one after another, ``(n_envs * n_agents, ...)``; what is said of rows below holds for envs where there is one agent.
    masks_actions
        Whether every transition names the valid actions.
    action_set
        The valid actions now ``(n_envs, sum of choice sizes)``, kept by the simulation; None where all are.
    """

    masks_actions: bool = False
    action_set: BoolArray | None = None
    n_agents: int = 1

    def __init__(self, env_ids: Sequence[int], seed: int, role: Role) -> None:
        self.n_envs, self.env_ids, self.role = len(env_ids), tuple(env_ids), role
        self.streams = streams(seed, role, env_ids)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of one env."""
        raise NotImplementedError

    @property
    def measurements(self) -> Any:
        """What functions of this world read: the dynamics themselves, unless a world has measurements of its own."""
        return self

    @property
    def setting(self) -> FloatArray:
        """What was last set, ``(n_envs, n)``, for pictures."""
        return np.zeros((self.n_envs, 1))

    def reseed(self, seed: int) -> None:
        """Begin the streams anew from another master seed."""
        self.streams[:] = streams(seed, self.role, self.env_ids)

    def uniform(self, n: int, mask: BoolArray) -> FloatArray:
        """Uniform draws ``(n_envs, n)`` in [0, 1); only the streams of the envs in ``mask`` move, the others read 0."""
        out = np.zeros((self.n_envs, n))
        rows = np.flatnonzero(mask)
        part, drawn = self.streams[rows, WORLD], np.empty((len(rows), n))
        fill_uniform(part, drawn)
        self.streams[rows, WORLD], out[rows] = part, drawn
        return out

    def reset_dynamics(self, mask: BoolArray) -> Transition:
        """Begin an episode in the envs in ``mask (n_envs,)``; their streams go on."""
        raise NotImplementedError

    def step_dynamics(self, action: Array, running: BoolArray) -> Transition:
        """One step of the envs in ``running (n_envs,)`` under what the actuator makes of actions, the actions themselves
        by default; the state of the others must not change.
        """
        raise NotImplementedError

    def settle(self, mask: BoolArray) -> None:
        """The time limit cuts off the episodes in ``mask (n_envs,)``."""

    def credit(self) -> None:
        """Count what waits as if it went well: somebody would go on here."""

    def redraw(self) -> None:
        """The streams of all envs are others from now on: draw anew what was drawn ahead."""

    def get_state(self) -> Tree:
        """The arrays, named tuples of arrays and numbers among the attributes; see `envs.core.state` for what else moves."""
        return {name: value for name, value in attributes_of(self).items() if name not in ("n_envs", "action_set")}

    def set_state(self, state: Tree) -> None:
        restore_attributes(self, state, self.get_state())


class ObservationFunction(Protocol):
    """What an agent observes of the measurements.

    Where the dynamics mask actions the mask is added to the observation, unless `carries_action_set`: it follows from the
    observation already. `feature_names` are the names index by index, those of one part where there are
    `n_parts` interchangeable ones; a function may do without both.
    """

    carries_action_set: bool

    @property
    def space(self) -> spaces.Box: ...
    def before_reset(self, measurements: Any, mask: BoolArray) -> None: ...
    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray32: ...


class InformationFunction(Protocol):
    """What `info` holds beside the rest: arrays ``(n_envs, ...)`` by name."""

    def before_reset(self, measurements: Any, mask: BoolArray) -> None: ...
    def extract(self, measurements: Any, moved: BoolArray) -> Info: ...


class NoInformation:
    """Nothing beside the rest."""

    def before_reset(self, measurements: Any, mask: BoolArray) -> None: ...

    def extract(self, measurements: Any, moved: BoolArray) -> Info:
        return {}


class Actuator(Protocol):
    """From an agent's actions to what the dynamics are set to."""

    @property
    def setting(self) -> FloatArray:
        """What was last set, ``(n_envs, n)``, for pictures."""

    @property
    def every_steps(self) -> int:
        """Steps between two actions that are listened to; what was asked for stands meanwhile."""

    @property
    def due(self) -> BoolArray:
        """Where the next action is listened to ``(n_envs,)``."""

    def reset(self, measurements: Any, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``."""

    def apply(self, action: Array, measurements: Any, running: BoolArray) -> tuple[Array, BoolArray]:
        """What to set ``(n_envs, ...)``, and where the nearest valid action was taken for one that is not ``(n_envs,)``."""


class Direct:
    """Sets the actions themselves; where the dynamics name the valid ones, the nearest valid action.

    Parameters
    ----------
    dynamics
        What is set.
    """

    every_steps = 1

    def __init__(self, dynamics: Dynamics) -> None:
        self._space, self._dynamics = dynamics.action_space, dynamics
        self._everywhere = np.ones(dynamics.n_envs, np.bool_)

    @property
    def setting(self) -> FloatArray:
        return self._dynamics.setting

    @property
    def due(self) -> BoolArray:
        return self._everywhere

    def reset(self, measurements: Any, mask: BoolArray) -> None: ...

    def apply(self, action: Array, measurements: Any, running: BoolArray) -> tuple[Array, BoolArray]:
        if self._dynamics.action_set is None:
            return action, np.zeros(len(running), np.bool_)
        return project(self._space, action, self._dynamics.action_set)
