"""Following a switching rule: an agent that has more or fewer servers on than the rule would.

Every backend has an offset, which an action moves by one server at most. What a rule does well the agent need not learn, and
an offset that stays until it is moved lets it try what pays only when it lasts: a start is billed for a minute.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import Array, BoolArray, FloatArray, IntArray
from envs.core.state import Tree, merged
from envs.load_balancing.actions import N_MOVES, Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.observation import RATE_SCALE_HZ
from envs.load_balancing.rules.autoscale import by_price
from envs.load_balancing.rules.base import AHEAD_S, base_rule, numbers_of
from envs.load_balancing.rules.foreseeing import Foreseeing


def moved(on: BoolArray, by: IntArray, order: IntArray, present: BoolArray) -> BoolArray:
    """Servers ``(n_envs, n_backends, n_servers)`` that are on when the dearest end of ``on`` is moved.

    By ``by (n_envs, n_backends)`` servers in ``order (n_envs, n_servers)``; the cheapest of those that are on stays on.
    """
    n_servers = on.shape[-1]
    places = np.broadcast_to(order[:, None, :], on.shape)
    in_order = np.take_along_axis(on, places, axis=-1)
    first = in_order.argmax(-1)
    last = n_servers - 1 - in_order[..., ::-1].argmax(-1)
    there = present.sum(-1, keepdims=True)
    end = np.clip(last + by, first, np.maximum(there - 1, first))[..., None]
    place = np.arange(n_servers)
    kept = (in_order | (place > last[..., None])) & (place <= end)
    out = np.zeros_like(on)
    np.put_along_axis(out, places, np.where(in_order.any(-1, keepdims=True), kept, in_order), axis=-1)
    return out


class Following(Weighting):
    """Makes weights of a rule's and of offsets to it.

    Attributes
    ----------
    offset
        Servers more or fewer than the rule has on ``(n_envs, n_backends)``.
    """

    def __init__(self, config: LoadBalancingConfig, n_envs: int) -> None:
        super().__init__(config, n_envs)
        self._rule = base_rule(config).start(config, n_envs, [numbers_of(config)])
        self.offset = np.zeros((n_envs, config.n_backends), np.int64)
        self._advised = np.ones(self.relative.shape, np.bool_)
        self._is_advised = np.zeros(n_envs, np.bool_)  # in this step

    def reset(self, measurements: Measurements, mask: BoolArray) -> None:
        super().reset(measurements, mask)
        self._rule.reset(mask)
        self.offset[mask] = 0
        self._is_advised[mask] = False

    def advised(self, measurements: Measurements) -> BoolArray:
        """The servers that the rule has on now ``(n_envs, n_backends, n_servers)``."""
        before = self._is_advised
        if not before.all():
            state = self._rule.get_state() if before.any() else {}
            advised = self._rule.decide(measurements) > 0
            self._advised = np.where(before[:, None, None], self._advised, advised)
            if before.any():  # episodes have begun in some envs since the others were advised
                self._rule.set_state(merged(before, state, self._rule.get_state()))
            self._is_advised = np.ones_like(before)
        return self._advised

    def of_servers(self, measurements: Measurements) -> FloatArray:
        weights = super().of_servers(measurements)
        return np.concatenate([weights, self.advised(measurements).swapaxes(1, 2)], axis=-1)

    def of_all(self, measurements: Measurements) -> FloatArray:
        """Offsets as a share of the largest one, then what is expected to come."""
        self.advised(measurements)  # which takes in what came
        offsets = self.offset / self._config.actions.max_offset
        if not isinstance(self._rule, Foreseeing):
            return offsets
        rates = [self._rule.expected(ahead_s, measurements) for ahead_s in AHEAD_S]
        return np.concatenate([offsets, np.log1p(np.concatenate(rates, axis=1) / RATE_SCALE_HZ)], axis=1)

    def _requested(self, action: Array, measurements: Measurements) -> FloatArray:
        shape, most = self.offset.shape, self._config.actions.max_offset
        if action.shape != shape:
            raise ValueError(f"actions must have shape {shape} (n_envs, n_backends), got {action.shape}")
        if action.min() < 0 or action.max() >= N_MOVES:
            raise ValueError(f"actions must be moves 0 to {N_MOVES - 1}, got {action.min()} to {action.max()}")
        by = np.clip(self.offset + action.astype(np.int64) - N_MOVES // 2, -most, most)
        self.offset = np.where(self.due[:, None], by, self.offset)
        advised = self.advised(measurements)
        self._is_advised = np.zeros_like(self._is_advised)
        order = by_price(measurements.price_usd_per_h, measurements.capacity, measurements.present)
        asked: FloatArray = moved(advised, self.offset, order, measurements.present).astype(float)
        return asked

    def get_state(self) -> Tree:
        own = {"offset": self.offset.copy(), "advised": self._advised.copy(), "is_advised": self._is_advised.copy()}
        return {**super().get_state(), **own, "rule": self._rule.get_state()}

    def set_state(self, state: Tree) -> None:
        super().set_state(state)
        self.offset, self._advised = state["offset"].copy(), state["advised"].copy()
        self._is_advised = state["is_advised"].copy()
        self._rule.set_state(state["rule"])
