"""A table that a monotone mixer takes on, and a sum does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from envs.core.validation import check, setting
from envs.games.matrix import MatrixGame


@dataclass(frozen=True)
class Monotone(MatrixGame):
    """State 2B of the two-step game (Rashid et al., "QMIX: Monotonic value function factorisation for deep multi-agent
    reinforcement learning", ICML 2018), as a game of its own.

    ======= ====== ======
    ..      column column
    row     0      1
    row     1      8
    ======= ====== ======

    **Optimum.** 8, the only Nash equilibrium: the second action is better whatever the other one does.

    A function of values of single agents that is monotone in each takes on this table; a sum of them does not, as
    ``0 + 8 != 1 + 1``.
    """

    table: ClassVar = ((0.0, 1.0), (1.0, 8.0))

    game: Literal["monotone"] = "monotone"
    """name of the game"""
    episode_steps: int = setting(1, ge=1)
    """steps after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)
