"""The best constant action: what an agent that observes nothing could get, in worlds whose actions are few."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.action_sets import every_action
from envs.core.arrays import Array, IntArray
from envs.core.spec import WorldSpec
from envs.core.world import World
from hierarchy.arms.arm import Arm
from hierarchy.arms.found import Found
from hierarchy.arms.selection import CANDIDATES, Selection
from hierarchy.arms.start import Start
from hierarchy.config import ExperimentConfig


class Constant:
    """A controller whose agents do the same all the time, ``actions (n_envs, ...)``."""

    def __init__(self, world: World, actions: Array) -> None:
        self._world, self._actions = world, actions.repeat(world.dynamics.n_agents, axis=0)
        self._everyone = np.ones(len(actions), np.bool_)

    def decide(self, measurements: Any) -> Array:
        """What the actions set ``(n_envs, ...)``."""
        setting, _ = self._world.actuator.apply(self._actions, measurements, self._everyone)
        return setting


def actions_of(spec: WorldSpec) -> IntArray:
    """All actions of a world ``(n_actions, ...)``.

    Raises
    ------
    SettingError, ValueError
        They are not discrete, or too many.
    """
    space: Mapping[str, Any] = spec.action_space
    if space["kind"] == "discrete":
        return every_action(spaces.Discrete(space["n"]))
    if space["kind"] == "multi_discrete":
        return every_action(spaces.MultiDiscrete(space["n"]))
    return every_action(spaces.Box(space["low"], space["high"], tuple(space["shape"])))


def find_constant(selection: Selection, found: Mapping[str, Any]) -> IntArray:
    """The action with the best objective on selection seeds; all actions run side by side on the same seeds."""
    actions = actions_of(selection.spec)
    batch = selection.batch(range(selection.config.ablation.n_trial_seeds))
    best: IntArray = actions[selection.scores_of(start_candidates, actions, batch).best]
    return best


def n_constant_steps(config: ExperimentConfig, spec: WorldSpec) -> int:
    """Env steps that the choice takes."""
    n_actions: int = math.prod(np.atleast_1d(spec.action_space["n"]).tolist())
    return n_actions * Selection.steps_per_candidate(config, config.ablation.n_trial_seeds)


def start_candidates(start: Start) -> Constant:
    """Another action in every env."""
    return Constant(start.simulation.world, start.found[CANDIDATES])


def has_its_shape(action: Array, spec: WorldSpec) -> bool:
    """An action of another shape says nothing."""
    n = spec.action_space.get("n")
    return n is not None and np.shape(action) == np.shape(n)


CONSTANT = Found("constant", find_constant, n_constant_steps, fits=has_its_shape)


def start_constant(start: Start) -> Constant:
    """The action that was found, in every env."""
    action = start.found[CONSTANT.name]
    return Constant(start.simulation.world, np.stack([action] * start.simulation.n_envs))


def wants_constants(config: ExperimentConfig, spec: WorldSpec) -> bool:
    """It must be asked for: actions are few in few worlds."""
    return config.ablation.constants


BEST_CONSTANT = Arm("unmixed", start_constant, wants_constants, needs=(CONSTANT,))
