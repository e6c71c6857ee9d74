"""Multipliers of constraints: what a unit of cost is worth in rewards, by kind of context. They know no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from envs.core.arrays import FloatArray, FloatArray32, IntArray
from envs.core.state import Tree
from envs.core.validation import SettingError, check, setting


@dataclass(frozen=True)
class MultiplierConfig:
    """How multipliers follow costs.

    An error is what costs exceed the bound by, as a share of it, held within [-1, 1]: below a bound it can't be less than
    -1, and were it 24 above, what an hour had added up would take a day to forget. Where the bound is 0 errors are costs.
    """

    fixed: dict[str, float] = field(default_factory=dict)
    """multipliers that stay as they are, by constraint: penalties set by hand; none to have them found"""
    proportional: float = setting(1.0, ge=0)
    """weight of the error now, in rewards for a unit of cost, as the two below"""
    integral: float = setting(0.1, ge=0)
    """weight of the sum of errors, which is never below 0"""
    derivative: float = setting(0.0, ge=0)
    """weight of the rise of the error since the last rollout"""
    keep: float = setting(0.9, ge=0, lt=1)
    """what a rollout leaves of the costs before it in the error now"""

    def __post_init__(self) -> None:
        check(self)
        for name, value in self.fixed.items():
            if not (np.isfinite(value) and value >= 0):
                raise SettingError(f"fixed.{name}", ">= 0", value)


class Multipliers:
    """A PID rule for the multipliers of constraints (Stooke, Achiam and Abbeel, ICML 2020).

    Gradient ascent on a multiplier alone is the integral part. It overshoots, since it falls only once costs are below the
    bound for as long as they were above it; the proportional part takes the swing out. A constraint holds under every
    context, so each kind has multipliers of its own.

    Parameters
    ----------
    bounds
        Of mean costs of a step, by constraint.
    n_kinds
        Kinds of context.

    Attributes
    ----------
    scale
        Of errors: the bounds, or 1 where they are 0 ``(n_constraints,)``.
    values
        Multipliers now, rewards for a unit of cost ``(n_kinds, n_constraints)``.
    """

    def __init__(self, config: MultiplierConfig, bounds: Mapping[str, float], n_kinds: int) -> None:
        self._config, self._bounds = config, np.array([*bounds.values()], float)
        self.scale = np.where(self._bounds > 0, self._bounds, 1.0)
        shape = (n_kinds, len(bounds))
        self._counts, self._sums = np.zeros((n_kinds, 1)), np.zeros(shape)  # of samples and costs, older ones counting less
        self._error, self._integral, self.values = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._fixed = np.array([config.fixed[name] for name in bounds]) if config.fixed else None
        if self._fixed is not None:
            self.values[:] = self._fixed

    def update(self, kinds: IntArray, costs: FloatArray | FloatArray32) -> None:
        """Take in a rollout: costs of its steps ``(n, n_constraints)`` under contexts of kinds ``(n,)``."""
        config = self._config
        if self._fixed is not None:
            self.values[:] = self._fixed  # whatever an agent had that this one began as
            return
        n_kinds = len(self._counts)
        counts = np.bincount(kinds, minlength=n_kinds)[:, None].astype(float)
        sums: FloatArray = np.stack([np.bincount(kinds, cost, n_kinds) for cost in costs.T.astype(float)], axis=1)
        fresh = self._error_of(counts, sums) * counts * (n_kinds / len(kinds))  # a kind that is rare moves slowly
        self._integral[:] = np.maximum(self._integral + config.integral * fresh, 0.0)
        self._counts[:], self._sums[:] = config.keep * self._counts + counts, config.keep * self._sums + sums
        error = self._error_of(self._counts, self._sums)
        found = config.proportional * error + self._integral + config.derivative * np.maximum(error - self._error, 0.0)
        self._error[:] = error
        self.values[:] = np.maximum(found, 0.0)

    def _error_of(self, counts: FloatArray, sums: FloatArray) -> FloatArray:
        """Of means ``(n_kinds, n_constraints)``; 0 where nothing was counted."""
        excess = np.divide(sums, counts, out=np.tile(self._bounds, (len(counts), 1)), where=counts > 0) - self._bounds
        error: FloatArray = (excess / self.scale).clip(-1.0, 1.0)
        return error

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
