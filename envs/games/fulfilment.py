"""Stores of which one ships an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from envs.core.arrays import Array, BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.dynamics import Dynamics
from envs.core.rng import Role
from envs.core.team import TeamSpec
from envs.core.terms import Function
from envs.core.validation import check, setting
from envs.games.game import GameDynamics, Policy, Solution, names

N_ORDERS = 4096
"""Orders that a gap is the mean over."""


@dataclass(frozen=True)
class Fulfilment:
    """Stores bid for orders; the highest bid ships, of equal bids that of the cheapest store, then of the lowest number.

    An order comes every step. Each store's distance ``x`` to it and the share ``y`` of its shelf that is filled are drawn
    uniformly from [0, 1], each by itself. To ship costs the store ``distance_cost x + scarcity_cost (1 - y)``. The reward of
    the team is minus the cost of the store that ships, shared equally. Were it the shipper's alone, each store would rather
    have another one ship; shared, what is best for the team is best for each.

    **Observation.** ``(3,)``: own cost as a share of the highest possible, distance, filled share. The state has all.

    **Action.** ``Discrete(n_bids)``: the bid.

    **Optimum and Nash.** The store of smallest cost ships. It does where all bid by the same function of their own cost that
    does not increase, and so where all bid the same. Every agent has the same interest, so each optimum is Nash. The team's
    reward is then minus the mean of the smallest of ``n`` costs ``c``, the integral of ``P(c > z) ** n``, where
    ``P(c <= z) = (z^2 - (z - a)+^2 - (z - b)+^2) / (2 a b)`` with ``a`` and ``b`` the two full costs.
    """

    game: Literal["fulfilment"] = "fulfilment"
    """name of the game"""
    n_stores: int = setting(10, ge=2)
    """stores"""
    n_bids: int = setting(5, ge=2)
    """levels of bids"""
    distance_cost: float = setting(0.7, gt=0)
    """cost of shipping over the largest distance"""
    scarcity_cost: float = setting(0.3, gt=0)
    """cost of shipping from an empty shelf"""
    episode_steps: int = setting(1, ge=1)
    """steps, one order each, after which an episode is over"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def spec(self) -> TeamSpec:
        n = self.n_stores
        own, of_all = (spaces.Box(0.0, 1.0, (size,), np.float32) for size in (3, 3 * n))
        return TeamSpec(names("store", n), own, spaces.Discrete(self.n_bids), of_all)

    def dynamics(self, env_ids: Sequence[int], seed: int, role: Role) -> GameDynamics:
        return Orders(self, env_ids, seed, role)

    def cost(self, distance: FloatArray, filled: FloatArray) -> FloatArray:
        """Of shipping, by store."""
        return self.distance_cost * distance + self.scarcity_cost * (1.0 - filled)

    def observe(self, distance: FloatArray, filled: FloatArray) -> FloatArray32:
        """What stores see of an order ``(..., n_stores, 3)``, of arrays ``(..., n_stores)``."""
        share = self.cost(distance, filled) / (self.distance_cost + self.scarcity_cost)
        return np.clip(np.stack([share, distance, filled], axis=-1), 0.0, 1.0).astype(np.float32)

    def truthful(self, observation: FloatArray32) -> IntArray:
        """Bids ``(n, n_stores)`` that fall with the own cost in equal stairs."""
        cheapness = 1.0 - observation[..., 0]
        bids: IntArray = np.minimum(cheapness * self.n_bids, self.n_bids - 1).astype(np.int64)
        return bids

    def optimum(self) -> Solution:
        """The policy :meth:`truthful`."""
        return Solution(self.truthful, -self.mean_smallest_cost)

    def nash(self) -> tuple[Solution, ...]:
        """The optimum."""
        return (self.optimum(),)

    @property
    def mean_smallest_cost(self) -> float:
        """Expected cost of the cheapest store, by Gauss-Legendre: exact for pieces of degree ``2 n_stores``."""
        b, a = sorted((self.distance_cost, self.scarcity_cost))
        node, weight = np.polynomial.legendre.leggauss(self.n_stores + 1)
        total = 0.0
        for low, high in ((0.0, b), (b, a), (a, a + b)):
            z = low + (high - low) * (node + 1.0) / 2.0
            below = (z**2 - np.maximum(z - a, 0.0) ** 2 - np.maximum(z - b, 0.0) ** 2) / (2.0 * a * b)
            total += float(weight @ (1.0 - below) ** self.n_stores) * (high - low) / 2.0
        return total

    def nash_gap(self, policy: Policy) -> float:
        """By enumeration of each store's bids in each of 4,096 orders, always the same ones: the mean gain of the store that
        gains most. It deviates order by order, knowing the order and all bids. So it is 0 where every one of these orders
        is shipped at the smallest cost, and nowhere else: the cheapest store could bid highest.
        """
        n = self.n_stores
        draws = Dynamics([0], 0, "evaluate").uniform(2 * N_ORDERS * n, np.ones(1, np.bool_))
        distance, filled = draws.reshape(2, N_ORDERS, n)
        cost, bids = self.cost(distance, filled), np.asarray(policy(self.observe(distance, filled)))
        paid, gains = shipping_cost(bids, cost), np.zeros(n)
        for store in range(n):
            cheapest = paid
            for bid in range(self.n_bids):
                other = bids.copy()
                other[:, store] = bid
                cheapest = np.minimum(cheapest, shipping_cost(other, cost))
            gains[store] = (paid - cheapest).mean() / n
        return float(gains.max())


def shipper(bids: Array, cost: FloatArray) -> IntArray:
    """The number of the store that ships ``(n,)``, of bids and costs ``(n, n_stores)``."""
    number: IntArray = np.where(bids == bids.max(-1, keepdims=True), cost, np.inf).argmin(-1)
    return number


def shipping_cost(bids: Array, cost: FloatArray) -> FloatArray:
    """What it costs that store, ``(n,)``."""
    return np.take_along_axis(cost, shipper(bids, cost)[:, None], axis=1)[:, 0]


class Orders(GameDynamics):
    """The orders of a batch.

    Parameters
    ----------
    config
        Settings.
    env_ids, seed, role
        See :class:`envs.core.dynamics.Dynamics`. Orders never depend on actions.

    Attributes
    ----------
    distance, filled
        Of each store to the order that waits, and the filled share of its shelf ``(n_envs, n_stores)``.
    best_shipped
        Whether the last order went out at the smallest cost ``(n_envs,)``.
    """

    def __init__(self, config: Fulfilment, env_ids: Sequence[int], seed: int, role: Role) -> None:
        super().__init__(config.spec, env_ids, seed, role)
        self.config = config
        self.distance, self.filled = np.zeros((2, self.n_envs, config.n_stores))
        self.best_shipped = np.zeros(self.n_envs, np.bool_)

    @property
    def observation(self) -> FloatArray32:
        return self.config.observe(self.distance, self.filled)

    @property
    def figures(self) -> Mapping[str, Function]:
        """Also the share of orders that the cheapest store shipped."""
        return {**super().figures, "best_shipped": lambda orders: orders.best_shipped.astype(np.float64)}

    def begin(self, mask: BoolArray) -> None:
        self._receive(mask)

    def play(self, action: Array, running: BoolArray) -> FloatArray:
        cost = self.config.cost(self.distance, self.filled)
        paid = shipping_cost(action, cost)
        self.best_shipped[running] = (paid == cost.min(-1))[running]
        self._receive(running)
        return np.repeat(-paid[:, None] / self.config.n_stores, self.config.n_stores, axis=1)

    def _receive(self, mask: BoolArray) -> None:
        """The next order."""
        for array in (self.distance, self.filled):
            array[mask] = self.uniform(self.config.n_stores, mask)[mask]
