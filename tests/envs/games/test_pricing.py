from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from envs.core.validation import SettingError
from envs.games import Pricing, always


def joint(price: float | list[float], n: int = 3) -> np.ndarray:
    return np.broadcast_to(np.array(price, np.float64), (n,))[:, None]


def test_demands_of_three_prices() -> None:
    assert Pricing().demand(np.array([5.2, 4.8, 6.1])) == pytest.approx([95.05, 96.05, 92.8])


def test_a_reward_is_price_times_demand() -> None:
    profit = Pricing().payoff(joint([5.2, 4.8, 6.1])[None])[0]
    assert profit == pytest.approx([5.2 * 95.05, 4.8 * 96.05, 6.1 * 92.8])


def test_three_stores_charge_a_third_of_100_alone_and_50_together() -> None:
    game = Pricing()
    assert game.nash_price == pytest.approx(100 / 3)
    assert game.joint_price == pytest.approx(50)
    assert game.nash()[0].team_reward == pytest.approx(3 * 100 / 3 * (100 - 100 / 3))
    assert game.optimum().team_reward == pytest.approx(7500)


def test_prices_held_up_to_10_are_10_either_way() -> None:
    game = Pricing(price_min=1.0, price_max=10.0)
    assert game.nash_price == game.joint_price == 10.0
    assert game.nash_gap(always(joint(10.0))) == 0.0
    assert Pricing(price_min=60.0).nash_price == Pricing(price_min=60.0).joint_price == 60.0


@pytest.mark.parametrize("n", range(2, 12))
def test_the_closed_forms_of_any_number_of_stores(n: int) -> None:
    game = Pricing(n_stores=n, price_max=1000.0)
    assert game.nash_price == pytest.approx(min(100 / (4 - 0.5 * (n - 1)), 1000.0) if n < 9 else 1000.0)
    assert game.joint_price == pytest.approx(100 / (4 - (n - 1)) if n < 5 else 1000.0)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 9, 10])
def test_no_search_finds_a_better_joint_price(n: int) -> None:
    """From the corner, from the middle and from random points within the bounds."""
    game, rng = Pricing(n_stores=n, price_max=200.0), np.random.default_rng(0)

    def loss(price: np.ndarray) -> float:
        return -float(game.payoff(price[None, :, None]).sum())

    best = game.optimum().team_reward
    for start in (np.full(n, 100.0), np.full(n, 199.0), *rng.uniform(0, 200, (8, n))):
        found = minimize(loss, start, method="L-BFGS-B", bounds=[(0, 200)] * n)
        assert -found.fun <= best * (1 + 1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 9, 10])
def test_best_replies_in_turn_lead_to_nash(n: int) -> None:
    game = Pricing(n_stores=n)
    price = np.random.default_rng(n).uniform(0, 100, n)
    for _ in range(4000):
        price = game.best_price(price)
    assert price == pytest.approx([game.nash_price] * n)


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("bounds", [(0.0, 100.0), (1.0, 10.0), (40.0, 60.0)])
def test_the_gap_is_what_brute_force_finds(n: int, bounds: tuple[float, float]) -> None:
    """A grid of width `h` misses at most ``own_slope * (h / 2) ** 2`` of a parabola."""
    low, high = bounds
    game, rng, grid = (
        Pricing(n_stores=n, price_min=low, price_max=high),
        np.random.default_rng(n),
        np.linspace(low, high, 2001),
    )
    missed = 2.0 * ((high - low) / 2000 / 2) ** 2
    for price in (np.full(n, game.joint_price), *rng.uniform(low, high, (10, n))):
        gain = []
        for store in range(n):
            tried = np.repeat(price[None], len(grid), axis=0)
            tried[:, store] = grid
            gain.append(game.payoff(tried[..., None])[:, store].max() - game.payoff(price[None, :, None])[0, store])
        gap = game.nash_gap(always(price[:, None]))
        assert max(gain) - 1e-9 <= gap <= max(gain) + missed + 1e-9


def test_the_optimum_is_no_equilibrium() -> None:
    """Of 50 a store goes down to (100 + 0.5 * 100) / 4 = 37.5, and gains 2 * 12.5 ** 2."""
    assert Pricing().nash_gap(Pricing().optimum().policy) == pytest.approx(312.5)


def test_bounds_must_leave_something_between_them() -> None:
    with pytest.raises(SettingError, match=r"^price_max must be > price_min \(5\), got 5.0$"):
        Pricing(price_min=5.0, price_max=5.0)
