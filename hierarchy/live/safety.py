"""What stands between a policy and a balancer: rules that weights are held against before they are written.

They are asked in the order of this module; each says where it gave another weight than it was given. The last three can't
undo what those before them are for: a step towards a weight never leaves fewer servers in service than were before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.validation import SettingError, check, setting
from envs.haproxy.runtime import MAX_WEIGHT

POWER = "power"
"""The rule by which a server has no weight before it is switched on."""
NOT_A_WEIGHT = "not a weight"
"""What stands in the place of a rule where something else than a weight was asked for."""


@dataclass(frozen=True)
class Safety:
    """Rules that weights are held against; weights are integers from 0, which drains, to 256."""

    highest: int = setting(MAX_WEIGHT, ge=1, le=MAX_WEIGHT)
    """weight that the policy's largest one becomes; none is above it"""
    floor: int = setting(1, ge=1, le=MAX_WEIGHT)
    """least weight of a healthy server that is not drained"""
    may_drain: bool = True
    """whether the policy may give a healthy server no weight at all"""
    least_in_service: int = setting(1, ge=1, le=10_000)
    """healthy servers that have weight in every backend, as far as there are as many"""
    largest_change: int = setting(MAX_WEIGHT // 2, ge=1, le=MAX_WEIGHT)
    """how far a weight may move in a step"""
    dead_band: int = setting(0, ge=0, le=MAX_WEIGHT)
    """changes up to this are not written, unless they drain a server or end that"""

    def __post_init__(self) -> None:
        check(self)
        if self.floor > self.highest:
            raise SettingError("floor", f"<= highest ({self.highest})", self.floor)


def unlimited(rules: Safety) -> Safety:
    """The same rules without those of how weights move: where they would end."""
    return replace(rules, largest_change=MAX_WEIGHT, dead_band=0)


class Intervention(NamedTuple):
    """Where a rule gave another weight."""

    rule: str
    backend: int
    server: int
    asked: int
    given: int


class Standing(NamedTuple):
    """How servers stand."""

    last: IntArray  # (n_backends, S) weights that the balancer has
    healthy: BoolArray  # (S,) up, as the balancer sees it
    untouchable: BoolArray  # (S,) an administrator has taken it out
    unready: BoolArray | None = None  # (S,) without weight, and not switched on yet; none by default


class Held(NamedTuple):
    """What is to be written."""

    weights: IntArray  # (n_backends, S)
    interventions: tuple[Intervention, ...]


def held(rules: Safety, asked: FloatArray, standing: Standing) -> Held:
    """Weights to write for relative ones ``asked (n_backends, S)`` in [0, 1].

    An asked weight that is no number in that range holds all last ones: whatever made it can't be trusted with the others.
    """
    last = standing.last
    if not np.isfinite(asked).all() or asked.min() < 0 or asked.max() > 1:
        where = np.argwhere(~((asked >= 0) & (asked <= 1)))
        return Held(last.copy(), tuple(Intervention(NOT_A_WEIGHT, b, s, -1, int(last[b, s])) for b, s in where.tolist()))
    weights, interventions = weights_of(rules, asked), list[Intervention]()
    for name, rule in RULES.items():
        given = rule(rules, weights, standing)
        for b, s in np.argwhere(given != weights).tolist():
            interventions.append(Intervention(name, b, s, int(weights[b, s]), int(given[b, s])))
        weights = given
    return Held(weights, tuple(interventions))


def weights_of(rules: Safety, asked: FloatArray) -> IntArray:
    """Integer weights of relative ones in [0, 1]: what is more than nothing stays so."""
    weights = np.rint(asked * rules.highest).astype(np.int64)
    return np.where((asked > 0) & (weights == 0), 1, weights)


def _power(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    return weights if standing.unready is None else np.where(standing.unready, 0, weights)


def _floor(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    low = standing.healthy & ((weights > 0) | (not rules.may_drain))
    return np.where(low, np.maximum(weights, rules.floor), weights)


def _in_service(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    """The healthy servers with the highest last weights keep them, or get the floor."""
    usable = standing.healthy & ~standing.untouchable
    given = weights.copy()
    for backend, row in enumerate(given):
        missing = min(rules.least_in_service, int(usable.sum())) - int((row[usable] > 0).sum())
        if missing > 0:
            idle = np.flatnonzero(usable & (row == 0))
            last = standing.last[backend, idle]
            chosen = idle[np.argsort(-last, kind="stable")[:missing]]
            row[chosen] = np.clip(standing.last[backend, chosen], rules.floor, rules.highest)
    return given


def _untouchable(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    return np.where(standing.untouchable, standing.last, weights)


def _dead_band(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    small = np.abs(weights - standing.last) <= rules.dead_band
    return np.where(small & ((weights == 0) == (standing.last == 0)), standing.last, weights)


def _change(rules: Safety, weights: IntArray, standing: Standing) -> IntArray:
    low, high = standing.last - rules.largest_change, standing.last + rules.largest_change
    return np.clip(weights, low, high)


RULES = {
    POWER: _power,
    "floor": _floor,
    "in service": _in_service,
    "untouchable": _untouchable,
    "dead band": _dead_band,
    "largest change": _change,
}
