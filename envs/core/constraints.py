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


@dataclass(frozen=True)
class Constraint:
    """A cost of a step, ``(n_envs,)`` of what is measured, and the bound on its mean."""

    cost: RewardTerm | Function
    bound: float


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
    total
        Sums over the steps since the reset ``(n_envs, n_constraints)``.
    """

    def __init__(self, constraints: Mapping[str, Constraint], n_envs: int) -> None:
        self.names = tuple(constraints)
        self.bounds: FloatArray = np.array([one.bound for one in constraints.values()])
        self.total: FloatArray = np.zeros((n_envs, len(self.names)))
        self._terms = [copy.deepcopy(reward_term(one.cost)) for one in constraints.values()]

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        """Episodes are about to begin in ``mask (n_envs,)``."""
        self.total[mask] = 0.0
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
        if not self._terms:
            return
        costs = np.stack([term.extract(measurements, moved) for term in self._terms], axis=-1)
        check_finite(costs, lambda column: f"cost {self.names[column]}", elapsed)
        self.total[moved] += costs[moved]

    def named(self, costs: FloatArray) -> dict[str, FloatArray]:
        """Costs ``(n, n_constraints)`` by name ``(n,)``."""
        return dict(zip(self.names, costs.T, strict=True))

    def get_state(self) -> Tree:
        """Sums, and what costs remember."""
        return {"total": self.total.copy(), "terms": states_of(self._terms)}

    def set_state(self, state: Tree) -> None:
        """Go back to a state of :meth:`get_state`."""
        self.total = state["total"].copy()
        restore_all(self._terms, state["terms"])
