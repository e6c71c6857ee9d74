"""Valid actions as masks over the choices of a discrete action space, one after another."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, IntArray

FAR = np.iinfo(np.int64).max
"""Further than any choice is from another."""
MAX_ACTIONS = 5_000
"""Actions of a space that are few enough to be tried one by one."""


def choice_sizes(space: spaces.Space[Any]) -> list[int]:
    """How many values each choice of an action has, from 0 on; empty where actions are not discrete.

    Raises
    ------
    ValueError
        Values begin elsewhere.
    """
    if np.any(getattr(space, "start", 0)):
        raise ValueError(f"action_space must count from 0, got {space}")
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    return [int(n) for n in space.nvec] if isinstance(space, spaces.MultiDiscrete) else []


def project(space: spaces.Space[Any], action: Array, action_set: BoolArray) -> tuple[Array, BoolArray]:
    """The nearest valid action, and where it differs.

    Every choice that the set forbids moves to the nearest value that it allows, the lower one of two. A choice without
    any valid value stays as it is.

    Parameters
    ----------
    space
        `Discrete` or `MultiDiscrete`, of one env.
    action
        ``(n_envs,)`` or ``(n_envs, n_choices)``.
    action_set
        ``(n_envs, sum of choice sizes)``.

    Returns
    -------
    The action, and ``(n_envs,)`` whether it was changed.
    """
    chosen = action.reshape(len(action), -1).copy()
    changed = np.zeros(len(action), np.bool_)
    start = 0
    for choice, size in enumerate(choice_sizes(space)):
        valid = action_set[:, start : start + size]
        start += size
        wanted = chosen[:, choice]
        distance = np.where(valid, np.abs(np.arange(size) - wanted[:, None]), FAR)
        nearest = np.where(valid.any(-1), distance.argmin(-1), wanted)
        changed |= nearest != wanted
        chosen[:, choice] = nearest
    return chosen.reshape(action.shape), changed


def every_action(space: spaces.Space[Any]) -> IntArray:
    """All actions of a discrete space, ``(n_actions, ...)`` in the shape of one.

    Raises
    ------
    ValueError
        Actions are not discrete, or more than :data:`MAX_ACTIONS`.
    """
    sizes = choice_sizes(space)
    n_actions = math.prod(sizes) if sizes else 0
    if not 0 < n_actions <= MAX_ACTIONS:
        raise ValueError(f"ablation.constants must be false unless there are 1 to {MAX_ACTIONS:,} actions, got {space}")
    actions = np.array(list(itertools.product(*map(range, sizes))), np.int64)
    return actions.reshape(n_actions, *(space.shape or ()))
