"""Multipliers of constraints: what a unit of cost is worth in rewards, by kind of context. They know no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32, IntArray
from envs.core.state import Tree
from envs.core.validation import check, setting


@dataclass(frozen=True)
class MultiplierConfig:
    """How multipliers follow costs. Errors are shares of the bound; where that is 0 they are costs."""

    fixed: list[float] = setting(default_factory=list, ge=0)
    """multipliers that stay as they are, one a constraint: a penalty set by hand; none to have them found"""
    proportional: float = setting(0.1, ge=0)
    """weight of the error now"""
    integral: float = setting(0.01, ge=0)
    """weight of the sum of errors, which is never below 0"""
    derivative: float = setting(0.0, ge=0)
    """weight of the rise of the error since the last rollout"""
    keep: float = setting(0.9, ge=0, lt=1)
    """what a rollout leaves of the costs before it in the error now"""

    def __post_init__(self) -> None:
        check(self)


class Multipliers:
    """A PID rule for the multipliers of constraints (Stooke, Achiam and Abbeel, ICML 2020).

    Gradient ascent on a multiplier alone is the integral part. It overshoots, since it falls only once costs are below the
    bound for as long as they were above it; the proportional part takes the swing out. A constraint holds under every
    context, so each kind has multipliers of its own.

    Parameters
    ----------
    bounds
        Of mean costs of a step ``(n_constraints,)``.
    n_kinds
        Kinds of context.

    Attributes
    ----------
    values
        Multipliers now, rewards for a unit of cost ``(n_kinds, n_constraints)``.
    """

    def __init__(self, config: MultiplierConfig, bounds: FloatArray, n_kinds: int) -> None:
        self._config, self._bounds = config, bounds
        self._scale = np.where(bounds > 0, bounds, 1.0)
        shape = (n_kinds, len(bounds))
        self._counts, self._sums = np.zeros((n_kinds, 1)), np.zeros(shape)  # of samples and costs, older ones counting less
        self._error, self._integral, self.values = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        if config.fixed:
            self.values[:] = config.fixed

    def update(self, kinds: IntArray, costs: FloatArray | FloatArray32) -> None:
        """Take in a rollout: costs of its steps ``(n, n_constraints)`` under contexts of kinds ``(n,)``."""
        config = self._config
        if config.fixed:
            return
        n_kinds = len(self._counts)
        counts = np.bincount(kinds, minlength=n_kinds)[:, None].astype(float)
        sums = np.stack([np.bincount(kinds, cost, n_kinds) for cost in costs.T], axis=1)
        fresh = (sums - counts * self._bounds) / self._scale * (n_kinds / len(kinds))  # a kind that is rare moves slowly
        self._integral[:] = np.maximum(self._integral + config.integral * fresh, 0.0)
        self._counts[:], self._sums[:] = config.keep * self._counts + counts, config.keep * self._sums + sums
        mean = np.where(self._counts > 0, self._sums / np.maximum(self._counts, 1e-8), self._bounds)
        error = (mean - self._bounds) / self._scale
        found = config.proportional * error + self._integral + config.derivative * np.maximum(error - self._error, 0.0)
        self._error[:] = error
        self.values[:] = np.maximum(found, 0.0) / self._scale

    @property
    def moving(self) -> dict[str, FloatArray]:
        """All that moves, by name; not copies."""
        kept = {"counts": self._counts, "sums": self._sums, "error": self._error, "integral": self._integral}
        return {**kept, "values": self.values}

    def get_state(self) -> Tree:
        """Copies of all that moves."""
        return {name: array.copy() for name, array in self.moving.items()}

    def set_state(self, state: Tree) -> None:
        """Go on from a state."""
        for name, array in self.moving.items():
            array[:] = state[name]
