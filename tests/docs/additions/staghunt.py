"""Two hunters: a stag needs both, a hare one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from envs.core.validation import check, setting
from envs.games.matrix import MatrixGame


@dataclass(frozen=True)
class StagHunt(MatrixGame):
    """Both hunt a stag, or both a hare; who hunts another thing than the other has the hare to share."""

    table: ClassVar = ((8.0, 1.0), (1.0, 2.0))

    game: Literal["staghunt"] = "staghunt"
    """name of the game"""
    episode_steps: int = setting(1, ge=1)
    """steps after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)
