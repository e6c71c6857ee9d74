"""From an agent's actions to weights in force.

Three modes: `levels` (``MultiDiscrete``, one level per server), `weights` (a Box in [0, 1]) and `deltas` (a Box in
[-1, 1] that moves the last weights). A recurrent policy knows no action masks, so any action may come and the world
projects it onto what is valid: an absent server has none, and at least one server keeps a weight.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import Array, BoolArray, FloatArray
from envs.core.state import Tree
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements

DRAIN_BELOW = 0.05
"""In the modes that set weights directly, a relative weight below this one drains the server."""


def action_space(config: LoadBalancingConfig) -> spaces.Space[NDArray[np.generic]]:
    """The space of one env's action; see the module for the modes."""
    n_servers = config.pool.n_servers
    if config.actions.mode == "levels":
        return spaces.MultiDiscrete([len(config.actions.levels)] * n_servers)
    low = -1.0 if config.actions.mode == "deltas" else 0.0
    return spaces.Box(low, 1.0, (n_servers,), np.float32)


def nominal_action(config: LoadBalancingConfig) -> NDArray[np.generic]:
    """The action ``(n_servers,)`` that gives all servers the same middling weight: the level nearest to 1, or half."""
    settings, shape = config.actions, config.pool.n_servers
    if settings.mode == "levels":
        return np.full(shape, np.abs(np.asarray(settings.levels) - 1.0).argmin())
    return np.full(shape, 0.0 if settings.mode == "deltas" else 0.5, np.float32)


def requested(config: LoadBalancingConfig, actions: NDArray[np.generic], last: FloatArray) -> FloatArray:
    """Relative weights ``(n_envs, n_servers)`` in [0, 1] that ``actions`` ask for, given the last ones in force.

    Raises
    ------
    ValueError
        ``actions`` has the wrong shape, or a level that does not exist.
    """
    if actions.shape != last.shape:
        raise ValueError(f"actions must have shape {last.shape} (n_envs, n_servers), got {actions.shape}")
    settings = config.actions
    if settings.mode == "levels":
        levels = np.asarray(settings.levels, np.float64)
        index = actions.astype(np.int64)
        if index.view(np.uint64).max() >= len(levels):  # negative ones are huge without their sign
            raise ValueError(f"actions must be levels 0 to {len(levels) - 1}, got {index.min()} to {index.max()}")
        asked: FloatArray = levels[index] / levels.max()
        return asked
    asked = actions.astype(np.float64)
    if not np.isfinite(asked).all():
        raise ValueError("actions must be finite, got nan or inf")
    if settings.mode == "deltas":
        asked = last + settings.max_delta * np.clip(asked, -1.0, 1.0)
    asked = np.clip(asked, 0.0, 1.0)
    return np.where(asked < DRAIN_BELOW, 0.0, asked)


def project(asked: FloatArray, last: FloatArray, known_down: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The nearest valid weights, and which envs were changed ``(n_envs,)``.

    Where no server that is known to be up has a weight, the one of them with the highest last weight keeps it (at least 1
    in relative terms); with all servers down the request stands.
    """
    up = ~known_down
    idle: BoolArray = np.logical_not(((asked > 0) & up).any(-1))
    if not idle.any():
        return asked, idle
    none: BoolArray = np.logical_and(idle, up.any(-1))
    keep = np.where(up, last, -1.0).argmax(-1)
    weights = asked.copy()
    rows = np.flatnonzero(none)
    kept = last[rows, keep[rows]]
    weights[rows, keep[rows]] = np.where(kept > 0, kept, 1.0)
    return weights, none


def valid_levels(config: LoadBalancingConfig, present: BoolArray) -> BoolArray:
    """Which levels mean something, ``(n_envs, n_servers * n_levels)``: all of a server present, weight 0 of an absent one.

    Where no level has weight 0, all of an absent server's levels are valid, and mean the same.
    """
    off = np.asarray(config.actions.levels) == 0.0
    absent = off if off.any() else np.ones_like(off)
    return np.where(present[..., None], True, absent).reshape(len(present), -1)


def in_force(config: LoadBalancingConfig, relative: FloatArray, capacity: FloatArray) -> FloatArray:
    """Dispatch weights of relative ones: times nominal ``capacity (n_envs, n_servers)``, if so configured."""
    if not config.actions.scale_by_capacity:
        return relative
    return relative * capacity


class Weighting:
    """Makes dispatch weights of an agent's actions, and remembers what is in force and what is on its way.

    Parameters
    ----------
    config
        Settings of the world.
    n_envs
        Size of the batch.

    Attributes
    ----------
    relative
        Relative weights in force ``(n_envs, n_servers)``, in [0, 1].
    change
        How far they moved in the last step, a share of the way from one end to the other ``(n_envs,)``; kept only where
        moving them has a price.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        self._config = config
        shape = (n_envs, config.pool.n_servers)
        self.relative = np.ones(shape)
        self.change = np.zeros(n_envs)
        self._waiting = np.ones((config.actions.delay_steps, *shape))  # the next to take effect first
        levels = np.asarray(config.actions.levels)
        self._has_off_level = config.actions.mode == "levels" and bool((levels == 0.0).any())

    @property
    def setting(self) -> FloatArray:
        """Relative weights, for pictures."""
        return self.relative

    @property
    def levels(self) -> tuple[float, ...]:
        """What the values of a choice mean; none where they are numbers."""
        actions = self._config.actions
        return tuple(actions.levels) if actions.mode == "levels" else ()

    def reset(self, measurements: Measurements, mask: BoolArray) -> None:
        """Equal weights for the servers that are there, where ``mask (n_envs,)`` is set."""
        self.relative = np.where(mask[:, None], measurements.present, self.relative)
        self._waiting[:, mask] = 1.0
        self.change[mask] = 0.0

    def apply(self, action: Array, measurements: Measurements, running: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Dispatch weights ``(n_envs, n_servers)``, and where others were asked for that are not valid ``(n_envs,)``."""
        before = self.relative
        asked = requested(self._config, action, before)
        absent = (asked > 0) & ~measurements.present if self._has_off_level else np.zeros_like(measurements.present)
        relative, changed = project(self._delayed(asked, measurements), before, measurements.known_down)
        if self._config.reward.switching_cost > 0:
            self.change = np.abs(relative - before).sum(-1) / measurements.n_present
        self.relative = relative if running.all() else np.where(running[:, None], relative, before)
        return in_force(self._config, self.relative, measurements.capacity), changed | absent.any(-1)

    def _delayed(self, asked: FloatArray, measurements: Measurements) -> FloatArray:
        """What takes effect now, absent servers left out."""
        if len(self._waiting):
            due = self._waiting[0].copy()
            self._waiting = np.roll(self._waiting, -1, axis=0)
            self._waiting[-1] = asked
            asked = due
        return np.where(measurements.present, asked, 0.0)

    def get_state(self) -> Tree:
        return {"relative": self.relative.copy(), "change": self.change.copy(), "waiting": self._waiting.copy()}

    def set_state(self, state: Tree) -> None:
        self.relative, self.change = state["relative"].copy(), state["change"].copy()
        self._waiting = state["waiting"].copy()
