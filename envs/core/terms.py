"""Reward terms: functions of what is measured that can be added, scaled, negated and summed up over an episode.

A term is a loss, ``(n_envs,)`` a step; the reward is minus the sum of the terms weighted by the context. A plain function of
the measurements is a term already. With :func:`reward_term` around it, arithmetic makes new terms of it, as Ecole's reward
functions have it: ``0.5 * latency + cost``, ``-throughput``, ``late.cumulative()``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.state import Tree, restore, restore_all, state_of, states_of

Function = Callable[[Any], FloatArray]


class RewardTerm:
    """A term of the reward. `before_reset` is called before new episodes, `extract` once after a reset and every step."""

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        """Forget what is known of the envs in ``mask (n_envs,)``, whose episodes are about to begin."""

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray:
        """The term ``(n_envs,)``; only the envs in ``moved (n_envs,)`` have changed since the last time."""
        raise NotImplementedError

    def cumulative(self) -> RewardTerm:
        """The sum of this term since the reset, which counts too."""
        return _Cumulative(self)

    def __add__(self, other: RewardTerm | float) -> RewardTerm:
        return _Combined(np.add, self, other)

    def __radd__(self, other: float) -> RewardTerm:
        return _Combined(np.add, other, self)

    def __sub__(self, other: RewardTerm | float) -> RewardTerm:
        return _Combined(np.subtract, self, other)

    def __rsub__(self, other: float) -> RewardTerm:
        return _Combined(np.subtract, other, self)

    def __mul__(self, other: RewardTerm | float) -> RewardTerm:
        return _Combined(np.multiply, self, other)

    def __rmul__(self, other: float) -> RewardTerm:
        return _Combined(np.multiply, other, self)

    def __truediv__(self, other: RewardTerm | float) -> RewardTerm:
        return _Combined(np.divide, self, other)

    def __rtruediv__(self, other: float) -> RewardTerm:
        return _Combined(np.divide, other, self)

    def __pow__(self, other: RewardTerm | float) -> RewardTerm:
        return _Combined(np.power, self, other)

    def __neg__(self) -> RewardTerm:
        return _Combined(np.negative, self)

    def __abs__(self) -> RewardTerm:
        return _Combined(np.abs, self)


class _Function(RewardTerm):
    """The value of a function of the measurements now."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray:
        return self._function(measurements)


class _Combined(RewardTerm):
    """An elementwise operation on terms and numbers."""

    def __init__(self, operation: Callable[..., FloatArray], *operands: RewardTerm | float) -> None:
        self._operation = operation
        self._operands = [copy.deepcopy(operand) for operand in operands]  # one that stands twice is evaluated twice

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        for term in self._terms:
            term.before_reset(measurements, mask)

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray:
        values = [one.extract(measurements, moved) if isinstance(one, RewardTerm) else one for one in self._operands]
        return self._operation(*values)

    def get_state(self) -> Tree:
        return states_of(self._terms)

    def set_state(self, state: Tree) -> None:
        restore_all(self._terms, state)

    @property
    def _terms(self) -> list[RewardTerm]:
        return [operand for operand in self._operands if isinstance(operand, RewardTerm)]


class _Cumulative(RewardTerm):
    """The running sum of a term."""

    def __init__(self, term: RewardTerm) -> None:
        self._term = term
        self._total = np.zeros(0)

    def before_reset(self, measurements: Any, mask: BoolArray) -> None:
        self._term.before_reset(measurements, mask)
        self._total = np.where(mask, 0.0, self._total if len(self._total) else 0.0)

    def extract(self, measurements: Any, moved: BoolArray) -> FloatArray:
        value = self._term.extract(measurements, moved)
        self._total = np.where(moved, self._total + value, self._total)
        return self._total.copy()

    def get_state(self) -> Tree:
        return {"total": self._total.copy(), "term": state_of(self._term)}

    def set_state(self, state: Tree) -> None:
        self._total = state["total"].copy()
        restore(self._term, state["term"])


def reward_term(term: RewardTerm | Function) -> RewardTerm:
    """A term from a function of the measurements to ``(n_envs,)``; a term is returned as it is. Also a decorator."""
    return term if isinstance(term, RewardTerm) else _Function(term)
