"""Stores that restock before they know what will be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32
from envs.core.rng import Role
from envs.core.team import TeamSpec
from envs.core.validation import check, chosen, setting
from envs.games.demand import DEMANDS, Demand, PoissonDemand, drawn, quantile
from envs.games.game import GameDynamics, Policy, Solution, always, names


@dataclass(frozen=True)
class Inventory:
    """A newsvendor in each store, whose stock carries over.

    In a step a store with stock ``x`` orders up to a level ``S``, which is there at once: it has ``y = max(x, S)``. Then
    demand ``d`` comes, drawn for each store and step by itself. It sells ``min(y, d)``, keeps ``max(y - d, 0)`` as stock of
    the next step, and loses the rest. Its reward is ``(price - unit_cost) min(y, d) - holding_cost max(y - d, 0) -
    lost_penalty max(d - y, 0)``: a unit is charged when it is sold. Over an episode that is the same as to pay for units
    when they are ordered, and to get `unit_cost` back for each that is left in the end. An episode begins without stock.

    **Observation.** ``(1,)``: the own stock as a share of `max_level`. The state has those of all.

    **Action.** ``Discrete(max_level + 1)``: the level ``S``.

    **Optimum and Nash.** A reward depends on ``y`` alone, and its mean ``G(y)`` is concave, largest at the newsvendor's
    quantile: the smallest ``y`` with ``P(d <= y) >= u / (u + holding_cost)``, where ``u = price - unit_cost + lost_penalty``
    is what a missing unit costs (Arrow, Harris and Marschak, "Optimal inventory policy", Econometrica 1951). To order up to
    it in every step is optimal over any number of steps and under any discount: stock never stands above it when a step
    begins, so the best ``y`` of each step is always within reach (Veinott, "Optimal policy for a multi-product, dynamic,
    nonstationary inventory problem", Management Science 1965). No store changes what another one gets, so it is Nash.
    """

    game: Literal["inventory"] = "inventory"
    """name of the game"""
    n_stores: int = setting(3, ge=1)
    """stores"""
    price: float = setting(10.0, gt=0)
    """what a unit sold brings"""
    unit_cost: float = setting(6.0, ge=0)
    """what a unit costs"""
    holding_cost: float = setting(1.0, gt=0)
    """cost of a unit that is left after a step"""
    lost_penalty: float = setting(2.0, ge=0)
    """cost of a unit that is asked for and not there, beside the sale"""
    demand: Demand = chosen(lambda: DEMANDS, by="name", default_factory=PoissonDemand)
    """units asked for in a store and step"""
    max_level: int = setting(15, ge=1)
    """highest level to order up to"""
    episode_steps: int = setting(20, ge=1)
    """steps after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> TeamSpec:
        n = self.n_stores
        stock, stocks = (spaces.Box(0.0, 1.0, (size,), np.float32) for size in (1, n))
        return TeamSpec(names("store", n), stock, spaces.Discrete(self.max_level + 1), stocks)

    def dynamics(self, env_ids: Sequence[int], seed: int, role: Role) -> GameDynamics:
        return Stores(self, env_ids, seed, role)

    def profit(self, available: Array, demand: Array) -> FloatArray:
        """The reward of stores with so many units available and asked for, in the shape of both."""
        sold = np.minimum(available, demand)
        earned = (self.price - self.unit_cost) * sold
        return earned - self.holding_cost * (available - sold) - self.lost_penalty * (demand - sold)

    @property
    def mean_profit(self) -> FloatArray:
        """``G``: the expected reward of a store by units available, ``(max_level + 1,)``."""
        chances = self.demand.probabilities
        of_all: FloatArray = self.profit(np.arange(self.max_level + 1)[:, None], np.arange(len(chances))) @ chances
        return of_all

    @property
    def best_level(self) -> int:
        """The optimal level to order up to."""
        missing = self.price - self.unit_cost + self.lost_penalty
        return min(quantile(self.demand, missing / (missing + self.holding_cost)) if missing > 0 else 0, self.max_level)

    def optimum(self) -> Solution:
        level = self.best_level
        return Solution(always(np.full(self.n_stores, level)), self.n_stores * float(self.mean_profit[level]))

    def nash(self) -> tuple[Solution, ...]:
        """The optimum."""
        return (self.optimum(),)

    def nash_gap(self, policy: Policy) -> float:
        """By enumeration: the distribution of each store's stock goes on step by step under the policy, of which a row may
        use its own store's observation alone. The best deviation is the level of largest mean profit.
        """
        return float(self.mean_profit.max() - min(map(self._mean_reward, self._levels(policy).T)))

    def _levels(self, policy: Policy) -> Array:
        """Units available by stock and store, ``(max_level + 1, n_stores)``."""
        stock = np.arange(self.max_level + 1)
        observation = np.repeat(observed(self, stock)[:, None, None], self.n_stores, axis=1)
        levels: Array = np.maximum(np.asarray(policy(observation)), stock[:, None])
        return levels

    def _mean_reward(self, available: Array) -> float:
        """Expected reward a step of a store with ``available (max_level + 1,)`` by stock, over an episode."""
        chances, stock = self.demand.probabilities, np.arange(self.max_level + 1)
        left = np.maximum(available[:, None] - np.arange(len(chances)), 0)
        onward = np.stack([np.bincount(row, chances, self.max_level + 1) for row in left])  # (stock, next stock)
        at, total = (stock == 0).astype(np.float64), 0.0
        for _ in range(self.episode_steps):
            total += at @ self.mean_profit[available]
            at = at @ onward
        return float(total / self.episode_steps)


def observed(config: Inventory, stock: Array) -> FloatArray32:
    """Stock as a share of the highest level, of the same shape."""
    return (stock / config.max_level).astype(np.float32)


class Stores(GameDynamics):
    """The stores of a batch.

    Parameters
    ----------
    config
        Settings.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`. Demand never depends on actions.
    """

    def __init__(self, config: Inventory, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(config.spec, env_ids, seed, role)
        self.config = config
        self.stock = np.zeros((self.n_envs, config.n_stores), np.int64)

    @property
    def observation(self) -> FloatArray32:
        return observed(self.config, self.stock)[:, :, None]

    def begin(self, mask: BoolArray) -> None:
        self.stock[mask] = 0

    def play(self, action: Array, running: BoolArray) -> FloatArray:
        demand = drawn(self.config.demand, self.uniform(self.config.n_stores, running))
        available = np.maximum(self.stock, action)
        self.stock[running] = np.maximum(available - demand, 0)[running]
        return self.config.profit(available, demand)
