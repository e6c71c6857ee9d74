"""From an agent's actions to weights in force.

Four modes: `levels` (``MultiDiscrete``, a level per server and backend), `weights` (a Box in [0, 1]), `deltas` (a Box in
[-1, 1] that moves the last weights), and `guided` (of a rule, see :mod:`envs.load_balancing.guiding`). In the first three an
action lists the servers one after another, and of each the backends. A recurrent policy knows no action masks, so any action
may come and the world projects it onto what is valid: an absent server has no weight, and in every backend at least one
server keeps one.
"""

from __future__ import annotations

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.core.arrays import Array, BoolArray, FloatArray
from envs.core.state import Tree
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.plans import plans

DRAIN_BELOW = 0.05
"""In the modes that set weights directly, a relative weight below this one drains the server."""
SAME = 1e-6
"""How far from a level, as a share of the highest, a weight is that is the level but for rounding."""
FOLLOW = 0
"""The action that leaves a guided rule as it is."""


def action_space(config: LoadBalancingConfig) -> spaces.Space[NDArray[np.generic]]:
    """The space of one env's action; see the module for the modes."""
    if config.actions.mode == "guided":
        return spaces.MultiDiscrete([1 + len(plans(config.pool.n_servers, config.n_backends))])
    n_choices = config.pool.n_servers * config.n_backends
    if config.actions.mode == "levels":
        return spaces.MultiDiscrete([len(config.actions.levels)] * n_choices)
    low = -1.0 if config.actions.mode == "deltas" else 0.0
    return spaces.Box(low, 1.0, (n_choices,), np.float32)


def nominal_action(config: LoadBalancingConfig) -> NDArray[np.generic]:
    """The action that gives all servers a middling weight: the level nearest to 1, or half; of a guided
    rule what leaves it as it is.
    """
    if config.actions.mode == "guided":
        return np.array([FOLLOW])
    settings, shape = config.actions, config.pool.n_servers * config.n_backends
    if settings.mode == "levels":
        return np.full(shape, np.abs(np.asarray(settings.levels) - 1.0).argmin())
    return np.full(shape, 0.0 if settings.mode == "deltas" else 0.5, np.float32)


def requested(config: LoadBalancingConfig, actions: NDArray[np.generic], last: FloatArray) -> FloatArray:
    """Relative weights ``(n_envs, n_backends, n_servers)`` in [0, 1] that ``actions`` ask for, given the ``last`` in force.

    Raises
    ------
    ValueError
        ``actions`` has the wrong shape, or a level that does not exist.
    """
    n_envs, n_backends, n_servers = last.shape
    shape = (n_envs, n_servers * n_backends)
    if actions.shape != shape:
        raise ValueError(f"actions must have shape {shape} (n_envs, n_servers * n_backends), got {actions.shape}")
    actions = actions.reshape(n_envs, n_servers, n_backends).swapaxes(1, 2)
    settings = config.actions
    if settings.mode == "levels":
        levels = np.asarray(settings.levels, np.float64)
        index = actions.astype(np.int64)
        if np.ascontiguousarray(index).view(np.uint64).max() >= len(levels):  # negative ones are huge without their sign
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


def expressed(config: LoadBalancingConfig, relative: FloatArray) -> tuple[NDArray[np.generic], BoolArray]:
    """Actions ``(n_envs, n_servers * n_backends)`` that ask for weights in the ratios of ``relative (n_envs, n_backends,
    n_servers)``, and where there are such ``(n_envs,)``: the inverse of :func:`requested` in the modes levels and weights.

    Raises
    ------
    ValueError
        In another mode.
    """
    top = relative.max(-1, keepdims=True)
    shares = np.divide(relative, top, out=np.zeros_like(relative), where=top > 0)
    if config.actions.mode == "weights":
        exact: BoolArray = ((shares == 0) | (shares >= DRAIN_BELOW)).all((1, 2))
        return shares.swapaxes(1, 2).reshape(len(shares), -1).astype(np.float32), exact
    if config.actions.mode != "levels":
        raise ValueError(f"actions.mode must be levels or weights, got {config.actions.mode}")
    levels = np.asarray(config.actions.levels, np.float64)
    chosen, exact = np.zeros(shares.shape, np.int64), np.zeros(len(shares), np.bool_)
    for highest in levels[np.argsort(np.abs(levels - 1.0), kind="stable")]:  # near the nominal ones, if there are several
        apart = np.abs(levels - highest * shares[..., None])
        fits = (apart.min(-1) <= SAME * highest).all((1, 2)) & (highest > 0) & ~exact
        chosen[fits], exact = apart.argmin(-1)[fits], exact | fits
    return chosen.swapaxes(1, 2).reshape(len(shares), -1), exact


def project(asked: FloatArray, last: FloatArray, known_down: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The nearest valid weights ``(n_envs, n_backends, n_servers)``, and which envs were changed ``(n_envs,)``.

    Where a backend gives none of the servers that are known to be up a weight, the one of them with its highest last weight
    keeps it (1 if it had none); with all servers down the request stands.
    """
    up = ~known_down[:, None, :]
    none: BoolArray = np.logical_and(~((asked > 0) & up).any(-1), up.any(-1))
    changed = np.asarray(none.any(-1))
    if not changed.any():
        return asked, changed
    keep = np.where(up, last, -1.0).argmax(-1)
    weights = asked.copy()
    rows, backends = np.nonzero(none)
    at = rows, backends, keep[rows, backends]
    weights[at] = np.where(last[at] > 0, last[at], 1.0)
    return weights, changed


def valid_levels(config: LoadBalancingConfig, present: BoolArray) -> BoolArray:
    """Which levels mean something, ``(n_envs, n_servers * n_backends * n_levels)``: all of a server present, weight 0 of an
    absent one.

    Where no level has weight 0, all of an absent server's levels are valid, and mean the same.
    """
    off = np.asarray(config.actions.levels) == 0.0
    absent = off if off.any() else np.ones_like(off)
    each = np.where(present[..., None], True, absent)
    return np.repeat(each, config.n_backends, axis=1).reshape(len(present), -1)


def in_force(config: LoadBalancingConfig, relative: FloatArray, capacity: FloatArray) -> FloatArray:
    """Dispatch weights ``(n_envs, n_backends, n_servers)`` of relative ones: times nominal ``capacity (n_envs, n_servers)``,
    if so configured.
    """
    if not config.actions.scale_by_capacity:
        return relative
    return relative * capacity[:, None, :]


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
        Relative weights in force ``(n_envs, n_backends, n_servers)``, in [0, 1].
    change
        How far they moved in the last step, a share of the way from one end to the other ``(n_envs,)``; kept only where
        moving them has a price.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        self._config = config
        shape = (n_envs, config.n_backends, config.pool.n_servers)
        self.relative = np.ones(shape)
        self.change = np.zeros(n_envs)
        self._asked = np.ones(shape)
        self._clock = np.zeros(n_envs, np.int64)
        self._waiting = np.ones((config.actions.delay_steps, *shape))  # the next to take effect first
        levels = np.asarray(config.actions.levels)
        self._has_off_level = config.actions.mode == "levels" and bool((levels == 0.0).any())

    @property
    def setting(self) -> FloatArray:
        """Relative weights ``(n_envs, n_backends * n_servers)``, for pictures."""
        return self.relative.reshape(len(self.relative), -1)

    @property
    def every_steps(self) -> int:
        """Steps between two actions that are listened to."""
        return self._config.actions.every_steps

    @property
    def due(self) -> BoolArray:
        """Where the next action is listened to ``(n_envs,)``."""
        now: BoolArray = self._clock % self.every_steps == 0
        return now

    def of_servers(self, measurements: Measurements) -> FloatArray:
        """What an agent observes of its weights, all in [0, 1], ``(n_envs, n_servers, n)``."""
        return self.relative.swapaxes(1, 2)

    def of_all(self, measurements: Measurements) -> FloatArray:
        """What it observes beside that and belongs to no server ``(n_envs, n)``."""
        return np.zeros((len(self.relative), 0))

    @property
    def levels(self) -> tuple[float, ...]:
        """What the values of a choice mean; none where they are numbers."""
        actions = self._config.actions
        return tuple(actions.levels) if actions.mode == "levels" else ()

    def reset(self, measurements: Measurements, mask: BoolArray) -> None:
        """Equal weights for the servers that are there, where ``mask (n_envs,)`` is set."""
        self.relative = np.where(mask[:, None, None], measurements.present[:, None, :], self.relative)
        self._waiting[:, mask] = 1.0
        self.change[mask] = 0.0
        self._clock[mask] = 0

    def put_in_force(self, relative: FloatArray) -> None:
        """Relative weights ``(n_envs, n_backends, n_servers)`` in [0, 1] are in force, whatever was asked for. What is
        observed, and moved by deltas, are these.
        """
        self.relative = relative.copy()

    def apply(self, action: Array, measurements: Measurements, running: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Dispatch weights ``(n_envs, n_backends, n_servers)``, and where others were asked for that are not valid
        ``(n_envs,)``.
        """
        before = self.relative
        asked = self._asked = self._requested(action, measurements)
        self._clock += running
        to_absent = np.zeros(len(asked), np.bool_)
        if self._has_off_level:
            to_absent = to_absent | ((asked > 0) & ~measurements.present[:, None, :]).any((1, 2))
        relative, changed = project(self._delayed(asked, measurements), before, measurements.known_down)
        if self._config.reward.switching_cost > 0:
            self.change = np.abs(relative - before).mean(1).sum(-1) / measurements.n_present
        self.relative = relative if running.all() else np.where(running[:, None, None], relative, before)
        return in_force(self._config, self.relative, measurements.capacity), changed | to_absent

    def _requested(self, action: Array, measurements: Measurements) -> FloatArray:
        """Relative weights that are asked for, by this action or by the last one that was listened to."""
        asked = requested(self._config, action, self.relative)
        return asked if self.due.all() else np.where(self.due[:, None, None], asked, self._asked)

    def _delayed(self, asked: FloatArray, measurements: Measurements) -> FloatArray:
        """What takes effect now, absent servers left out."""
        if len(self._waiting):
            due = self._waiting[0].copy()
            self._waiting = np.roll(self._waiting, -1, axis=0)
            self._waiting[-1] = asked
            asked = due
        return np.where(measurements.present[:, None, :], asked, 0.0)

    def get_state(self) -> Tree:
        return {
            "relative": self.relative.copy(),
            "change": self.change.copy(),
            "asked": self._asked.copy(),
            "clock": self._clock.copy(),
            "waiting": self._waiting.swapaxes(0, 1).copy(),
        }

    def set_state(self, state: Tree) -> None:
        self.relative, self.change = state["relative"].copy(), state["change"].copy()
        self._asked, self._clock = state["asked"].copy(), state["clock"].copy()
        self._waiting = state["waiting"].swapaxes(0, 1).copy()
