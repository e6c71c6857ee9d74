"""Two agents that share what a table pays them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, FloatArray
from envs.core.team import TeamSpec
from envs.games.game import Policy, Solution
from envs.games.one_shot import NOTHING, OneShotGame


class MatrixGame(OneShotGame):
    """A base of configs: one agent chooses a row of :attr:`table`, the other a column, and each gets half of the entry.

    Both act at once and observe nothing but a 1. All answers are found by enumeration.

    **Action.** ``Discrete``: the number of the row, or of the column.
    """

    table: ClassVar[tuple[tuple[float, ...], ...]]
    """What the team is paid: a square."""

    @property
    def spec(self) -> TeamSpec:
        return TeamSpec(("row", "column"), NOTHING, spaces.Discrete(len(self.table)), NOTHING)

    def payoff(self, action: Array) -> FloatArray:
        """Half of the entry for each, ``(n, 2)``, of actions ``(n, 2)``."""
        half = 0.5 * np.array(self.table)[action[:, 0], action[:, 1]]
        return np.stack([half, half], axis=-1)

    def optimum(self) -> Solution:
        """The largest entry."""
        best = np.argmax(np.array(self.table))
        return self.solution(np.array(np.unravel_index(best, np.shape(self.table))))

    def nash(self) -> tuple[Solution, ...]:
        """Every equilibrium in pure strategies: entries that are the largest of their row and of their column."""
        table = np.array(self.table)
        stable = (table == table.max(0)) & (table == table.max(1, keepdims=True))
        return tuple(sorted(map(self.solution, np.argwhere(stable)), key=lambda one: -one.team_reward))

    def nash_gap(self, policy: Policy) -> float:
        """By enumeration of the other rows and of the other columns."""
        row, column = self.joint_action(policy)
        table = np.array(self.table)
        return float(0.5 * (max(table[:, column].max(), table[row].max()) - table[row, column]))
