from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from envs import games
from envs.core.arrays import Array, FloatArray32
from envs.games import Inventory, always
from envs.games.demand import PoissonDemand, UniformDemand

SMALL = Inventory(n_stores=2, demand=UniformDemand(low=0, high=3), max_level=4, episode_steps=3)


def test_by_default_a_store_restocks_to_the_newsvendors_quantile() -> None:
    """Of Poisson 5: P(d <= 6) = 0.762 and P(d <= 7) = 0.867, around 6 / 7."""
    game = Inventory()
    assert game.best_level == 7
    assert game.mean_profit[7] > 0 > game.mean_profit[0]


@pytest.mark.parametrize(
    ("demand", "best"),
    [
        (UniformDemand(low=0, high=9), 8),
        (UniformDemand(low=5, high=14), 13),
        (UniformDemand(low=3, high=3), 3),
        (PoissonDemand(mean=0.1), 0),
    ],
)
def test_the_level_is_the_quantile_of_any_demand(demand: UniformDemand, best: int) -> None:
    """6 / 7 lies between 8 / 10 and 9 / 10, and below exp(-0.1)."""
    assert Inventory(demand=demand).best_level == best


@pytest.mark.parametrize("price", [4.0, 6.5, 10.0, 30.0])
@pytest.mark.parametrize(
    "demand",
    [PoissonDemand(mean=2.0), PoissonDemand(mean=9.0), UniformDemand(low=0, high=12), UniformDemand(low=20, high=30)],
)
def test_no_level_has_a_larger_mean(price: float, demand: PoissonDemand) -> None:
    """Mean profits are concave in the level; the best of those allowed is the quantile, or the bound below it."""
    game = Inventory(price=price, demand=demand)
    assert (np.diff(game.mean_profit, 2) < 1e-9).all()
    assert game.mean_profit[game.best_level] == pytest.approx(game.mean_profit.max(), rel=1e-12)


def test_nothing_is_ordered_where_a_sale_costs_more_than_it_brings() -> None:
    game = Inventory(price=3.0, unit_cost=6.0, lost_penalty=2.0)
    assert game.best_level == 0
    assert game.nash_gap(game.optimum().policy) == pytest.approx(0.0, abs=1e-9)


def test_a_reward_is_what_is_earned_of_sales_less_what_is_kept_and_lost() -> None:
    game = Inventory()
    assert game.profit(np.array([7, 7, 7]), np.array([5, 7, 9])).tolist() == [4 * 5 - 2, 4 * 7, 4 * 7 - 2 * 2]


def test_stock_carries_over_and_is_observed() -> None:
    batch = games.make(Inventory(demand=UniformDemand(low=2, high=2), max_level=10), 1)
    assert (batch.reset() == 0).all()
    step = batch.step(np.array([[10, 5, 0]]))
    assert step.observation[0, :, 0] == pytest.approx([0.8, 0.3, 0.0])
    assert step.reward.tolist() == [[4 * 2 - 8, 4 * 2 - 3, -2 * 2]]
    step = batch.step(np.array([[0, 4, 0]]))  # what is there stays, whatever the level
    assert step.observation[0, :, 0] == pytest.approx([0.6, 0.2, 0.0])
    assert batch.state()[0] == pytest.approx([0.6, 0.2, 0.0])


def test_to_charge_what_is_sold_is_to_pay_for_orders_and_get_it_back_for_what_is_left() -> None:
    game = Inventory(episode_steps=12)
    batch, rng = games.make(game, 5), np.random.default_rng(0)
    batch.reset()
    charged, paid = np.zeros((2, 5, 3))
    stock = np.zeros((5, 3))
    for _ in range(12):
        available = np.maximum(stock, level := rng.integers(0, 16, (5, 3)))
        ordered = available - stock
        charged += batch.step(level).reward
        stock = np.rint(batch.observe()[..., 0] * 15)
        sold = available - stock
        lost = (4 * sold - 1 * stock - batch.dynamics.reward) / 2
        paid += 10 * sold - 6 * ordered - 1 * stock - 2 * lost
    assert stock.any()
    assert np.allclose(charged, paid + 6 * stock)


def enumerated(game: Inventory, level: Callable[[int], int]) -> float:
    """Mean reward a step of a store, over every sequence of demands, each as likely."""
    total = 0.0
    sequences = list(itertools.product(range(game.demand.low, game.demand.high + 1), repeat=game.episode_steps))  # type: ignore[attr-defined]
    for sequence in sequences:
        stock = 0
        for asked in sequence:
            available = max(stock, level(stock))
            sold = min(available, asked)
            stock = available - sold
            total += 4 * sold - stock - 2 * (asked - sold)
    return total / len(sequences) / game.episode_steps


def best_reply(game: Inventory) -> float:
    """The same of the best policy of all that know stock and time, by backward induction."""
    worth = np.zeros(game.max_level + 1)
    units = range(game.demand.low, game.demand.high + 1)  # type: ignore[attr-defined]
    for _ in range(game.episode_steps):
        of_available = [
            np.mean([game.profit(np.array(y), np.array(d)) + worth[max(y - d, 0)] for d in units])
            for y in range(game.max_level + 1)
        ]
        worth = np.array([max(of_available[x:]) for x in range(game.max_level + 1)])
    return float(worth[0] / game.episode_steps)


def test_the_optimum_is_that_of_backward_induction() -> None:
    assert best_reply(SMALL) == pytest.approx(SMALL.optimum().team_reward / 2, rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_the_gap_is_what_brute_force_finds(seed: int) -> None:
    """Levels at random by stock and store."""
    table = np.random.default_rng(seed).integers(0, 5, (5, 2))

    def policy(observation: FloatArray32) -> Array:
        stock = np.rint(observation[..., 0] * 4).astype(int)
        return (
            np.take_along_axis(table, stock, axis=0)
            if len(stock) == 5
            else np.stack([table[stock[:, i], i] for i in (0, 1)], -1)
        )

    worst = min(enumerated(SMALL, lambda stock, store=store: int(table[stock, store])) for store in range(2))  # type: ignore[misc]
    assert SMALL.nash_gap(policy) == pytest.approx(best_reply(SMALL) - worst, abs=1e-12)


def test_a_gap_is_that_of_the_store_which_is_furthest_off() -> None:
    game = Inventory()
    lost = [
        game.mean_profit[7] - game.mean_profit[level] for level in (5, 3, 6)
    ]  # below the optimum no stock stands above a level
    assert game.nash_gap(always(np.array([5, 3, 6]))) == pytest.approx(max(lost))
