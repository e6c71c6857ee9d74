"""Stores that set prices of goods which stand in for one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, FloatArray
from envs.core.team import TeamSpec
from envs.core.validation import SettingError, check, setting
from envs.games.game import Policy, Solution, names
from envs.games.one_shot import NOTHING, OneShotGame


@dataclass(frozen=True)
class Pricing(OneShotGame):
    """Price competition with linear demand (Bertrand with differentiated goods).

    Store ``i`` of ``n`` sells ``d_i = a - b p_i + c * sum of the others' p`` at its price ``p_i`` and gets ``p_i d_i``, with
    ``a`` the `base_demand`, ``b`` the `own_slope` and ``c`` the `cross_slope`. A demand below 0 counts as it is: the store
    buys back. All act at once and observe nothing but a 1.

    **Action.** ``Box (1,)``: the price, from `price_min` to `price_max`.

    **Nash.** A profit is concave in the store's own price. Its best answer to others whose prices sum up to ``s`` is
    ``(a + c s) / (2 b)``, held within the bounds; so all charge ``a / (2 b - c (n - 1))`` within the bounds, or `price_max`
    where ``c (n - 1) >= 2 b``, as then each answers any common price with a higher one. Either is the only symmetric one.

    **Optimum.** Where ``c (n - 1) < b`` the sum of profits is strictly concave, so its maximum is symmetric: all charge
    ``a / (2 b - 2 c (n - 1))``, within the bounds. Elsewhere the sum rises with the lowest of the prices wherever they are,
    by ``a - 2 b p_i + 2 c * sum of the others >= a > 0``: all charge `price_max`.

    With the defaults and three stores: 100 / 3 and 50; with prices held in [1, 10] both are 10.
    """

    game: Literal["pricing"] = "pricing"
    """name of the game"""
    n_stores: int = setting(3, ge=2)
    """stores"""
    base_demand: float = setting(100.0, gt=0)
    """demand of a store when all prices are 0"""
    own_slope: float = setting(2.0, gt=0)
    """demand that a store loses for each unit of its price"""
    cross_slope: float = setting(0.5, ge=0)
    """demand that a store gains for each unit of another one's price"""
    price_min: float = setting(0.0, ge=0)
    """lowest price"""
    price_max: float = setting(100.0, gt=0)
    """highest price"""
    episode_steps: int = setting(1, ge=1)
    """steps after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)
        if self.price_max <= self.price_min:
            raise SettingError("price_max", f"> price_min ({self.price_min:g})", self.price_max)

    @property
    def spec(self) -> TeamSpec:
        price = spaces.Box(self.price_min, self.price_max, (1,), np.float64)
        return TeamSpec(names("store", self.n_stores), NOTHING, price, NOTHING)

    def demand(self, price: FloatArray) -> FloatArray:
        """Of stores with ``price (..., n_stores)``."""
        others: FloatArray = price.sum(-1, keepdims=True) - price
        return self.base_demand - self.own_slope * price + self.cross_slope * others

    def payoff(self, action: Array) -> FloatArray:
        """Profits ``(n, n_stores)`` at prices ``(n, n_stores, 1)``."""
        price = action[..., 0]
        return price * self.demand(price)

    @property
    def nash_price(self) -> float:
        """What all charge at Nash."""
        steepness = 2.0 * self.own_slope - self.cross_slope * (self.n_stores - 1)
        return self._within_bounds(self.base_demand / steepness if steepness > 0 else np.inf)

    @property
    def joint_price(self) -> float:
        """What all charge at the optimum of their sum."""
        steepness = 2.0 * (self.own_slope - self.cross_slope * (self.n_stores - 1))
        return self._within_bounds(self.base_demand / steepness if steepness > 0 else np.inf)

    def _within_bounds(self, price: float) -> float:
        return float(np.clip(price, self.price_min, self.price_max))

    def optimum(self) -> Solution:
        return self.solution(np.full((self.n_stores, 1), self.joint_price))

    def nash(self) -> tuple[Solution, ...]:
        """The symmetric one."""
        return (self.solution(np.full((self.n_stores, 1), self.nash_price)),)

    def best_price(self, price: FloatArray) -> FloatArray:
        """Each store's best answer to the others, all ``(..., n_stores)``."""
        others: FloatArray = price.sum(-1, keepdims=True) - price
        best = (self.base_demand + self.cross_slope * others) / (2.0 * self.own_slope)
        return np.clip(best, self.price_min, self.price_max)

    def nash_gap(self, policy: Policy) -> float:
        """In closed form: with ``p*`` the best answer, ``p* d(p*) - p d(p)``, of the store that gains most."""
        price = self.joint_action(policy)[..., 0].astype(np.float64)
        best = self.best_price(price)
        demand = self.demand(price)
        gain = best * (demand - self.own_slope * (best - price)) - price * demand
        return float(gain.max())
