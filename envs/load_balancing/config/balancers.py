"""Several balancers before the same servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from envs.core.validation import SettingError, check, setting

Split = Literal["random", "class"]
Paid = Literal["team", "own"]


@dataclass(frozen=True)
class BalancersConfig:
    """How many there are, and which requests each has. Each sees its own alone; servers and their costs are shared.

    What a pool tells every balancer: capacities, prices, the use of each server, when it was switched, whether it is booting
    and whether it is full.
    """

    n: int = setting(1, ge=1, le=64)
    """balancers before the pool"""
    split: Split = setting("random", one_of=get_args(Split))
    """random sends every request to one of them by shares, class gives every class of requests a balancer of its own"""
    reward: Paid = setting("team", one_of=get_args(Paid))
    """own pays each by what it measures itself and its part of the costs, team all by the mean of that over their shares"""
    shares: list[float] = setting(default_factory=list, gt=0)
    """of the requests that each gets, and of the cost that it pays, relative to each other; without any, equal"""

    def __post_init__(self) -> None:
        check(self)
        if self.shares and len(self.shares) != self.n:
            raise SettingError("shares", f"n ({self.n}) numbers, or none", self.shares)
        if self.shares and self.split == "class":
            raise SettingError("shares", "[] when split is class", self.shares)

    @property
    def share(self) -> list[float]:
        """Of each; they add up to 1."""
        shares = self.shares or [1.0] * self.n
        return [one / sum(shares) for one in shares]
