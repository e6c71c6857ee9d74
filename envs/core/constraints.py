"""Constraints: costs that are to stay within bounds in the mean, beside whatever is rewarded.

They are those of a constrained Markov decision process (Altman, 1999): a cost a step, and a bound on its mean over an
episode. No reward has them in it; learners that know of them keep them, and all arms are shown with them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.finite import check_finite
from envs.core.state import Tree, restore_all, states_of
from envs.core.terms import Function, RewardTerm, reward_term


def _one(measurements: Any) -> FloatArray:
    """A step is one unit."""
    return np.ones(1)


@dataclass(frozen=True)
class Constraint:
    """A cost of a step, ``(n_envs,)`` of what is measured, and the bound on its mean.

    The mean is over steps, or over what ``per`` counts: the bound is then on the sum of the cost over the sum of that.
    """

    cost: RewardTerm | Function
    bound: float
    per: RewardTerm | Function | None = None


class Costs:
    """What a batch costs, by constraint.

    Parameters
    ----------
    constraints
        By name. Costs are copied: what they remember is this batch's own.
    n_envs
        Size of the batch.

    Attributes
    ----------
    bounds
        Of mean costs of a step ``(n_constraints,)``.
    total, units
        Sums over the steps since the reset of costs, and of what they are per ``(n_envs, n_constraints)``.
    """

    def __init__(self, constraints: Mapping[str, Constraint], n_envs: int) -> None:
        self.names = tuple(constraints)
        self.bounds: FloatArray = np.array([one.bound for one in constraints.values()])
        self.total: FloatArray = np.zeros((n_envs, len(self.names)))
        self.units: FloatArray = np.zeros_like(self.total)
        self._seen_units, self._seen_steps = np.zeros_like(self.total), np.zeros((n_envs, 1))  # of all episodes so far
        self._costs = [copy.deepcopy(reward_term(one.cost)) for one in constraints.values()]
        self._per = [copy.deepcopy(reward_term(one.per or _one)) for one in constraints.values()]

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        """Episodes are about to begin in ``mask (n_envs,)``."""
        self.total[mask], self.units[mask] = 0.0, 0.0
        for term in self._terms:
            term.before_reset(measurements, mask)

    def begin(self, measurements: Any, mask: BoolArray) -> None:
        """Episodes have begun in ``mask (n_envs,)``; what they begin with costs nothing."""
        for term in self._terms:
            term.extract(measurements, mask)

    def record(self, measurements: Any, moved: BoolArray, elapsed: IntArray) -> None:
        """Add up a step of the envs in ``moved (n_envs,)``, ``elapsed`` steps into their episodes.

        Raises
        ------
        NonFiniteError
            A cost is no finite number.
        """
        if not self.names:
            return
        costs, units = (
            np.stack([np.broadcast_to(term.extract(measurements, moved), moved.shape) for term in terms], axis=-1)
            for terms in (self._costs, self._per)
        )
        check_finite(costs, lambda column: f"cost {self.names[column]}", elapsed)
        self.total[moved] += costs[moved]
        self.units[moved] += units[moved]
        self._seen_units[moved] += units[moved]
        self._seen_steps[moved] += 1.0

    @property
    def mean(self) -> FloatArray:
        """Of episodes so far, what is held against the bounds ``(n_envs, n_constraints)``; 0 where there was nothing."""
        return np.divide(self.total, self.units, out=np.zeros_like(self.total), where=self.units > 0)

    def of_step(self, cost: FloatArray) -> FloatArray:
        """What was added to :attr:`total` in a step, over the mean units of a step in all episodes of an env so far: in the
        long run its mean is the one that is bounded.
        """
        units = self._seen_units
        return cost * np.divide(self._seen_steps, units, out=np.ones_like(units), where=units > 0)

    def named(self, costs: FloatArray) -> dict[str, FloatArray]:
        """Costs ``(n, n_constraints)`` by name ``(n,)``."""
        return dict(zip(self.names, costs.T, strict=True))

    @property
    def _terms(self) -> list[RewardTerm]:
        return [*self._costs, *self._per]

    def get_state(self) -> Tree:
        """Sums, and what costs remember."""
        sums = {"total": self.total, "units": self.units, "seen_units": self._seen_units, "seen_steps": self._seen_steps}
        return {**{name: array.copy() for name, array in sums.items()}, "terms": states_of(self._terms)}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self.total, self.units = state["total"].copy(), state["units"].copy()
        self._seen_units, self._seen_steps = state["seen_units"].copy(), state["seen_steps"].copy()
        restore_all(self._terms, state["terms"])
