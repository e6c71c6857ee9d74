"""A table whose best entry lies between its worst ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from envs.core.validation import check, setting
from envs.games.matrix import MatrixGame


@dataclass(frozen=True)
class Climbing(MatrixGame):
    """The climbing game (Claus and Boutilier, "The dynamics of reinforcement learning in cooperative multiagent systems",
    AAAI 1998).

    ======= ====== ====== ======
    ..      column column column
    row     11     -30    0
    row     -30    7      6
    row     0      0      5
    ======= ====== ====== ======

    **Optimum.** 11, which is Nash, and so is 7.

    Which action is better depends on what the other one does: (1, 1) pays more than (0, 1), and (0, 0) more than (1, 0). No
    mixer of values of single agents that is monotone in each, as that of QMIX, takes on this table (Rashid et al.,
    "Monotonic value function factorisation for deep multi-agent reinforcement learning", JMLR 2020).
    """

    table: ClassVar = ((11.0, -30.0, 0.0), (-30.0, 7.0, 6.0), (0.0, 0.0, 5.0))

    game: Literal["climbing"] = "climbing"
    """name of the game"""
    episode_steps: int = setting(1, ge=1)
    """steps after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)
