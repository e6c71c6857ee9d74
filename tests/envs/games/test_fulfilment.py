from __future__ import annotations

import itertools

import numpy as np
import pytest

from envs import games
from envs.core.arrays import Array, FloatArray32
from envs.games import Fulfilment, always
from envs.games.fulfilment import shipper, shipping_cost
from tests.envs.games.examples import at_random
from tests.envs.load_balancing.pools import standard_errors


@pytest.mark.parametrize(
    ("bids", "cost", "ships"),
    [
        ([0, 2, 1], [0.1, 0.9, 0.2], 1),  # the highest bid, whatever it costs
        ([2, 0, 2], [0.5, 0.1, 0.4], 2),  # of equal bids the cheapest
        ([1, 1, 0], [0.4, 0.4, 0.1], 0),  # then the lowest number
        ([0, 0, 0], [0.3, 0.2, 0.2], 1),
    ],
)
def test_who_ships(bids: list[int], cost: list[float], ships: int) -> None:
    assert shipper(np.array([bids]), np.array([cost])).tolist() == [ships]
    assert shipping_cost(np.array([bids]), np.array([cost])).tolist() == [cost[ships]]


def test_the_reward_is_minus_the_cost_of_the_one_that_ships_in_equal_shares() -> None:
    batch = games.make(Fulfilment(), 50)
    observation = batch.reset()
    bids = at_random(batch.game, 3)(observation)
    reward = batch.step(bids).reward
    cost = observation[..., 0].astype(np.float64)  # full costs sum up to 1
    assert reward.sum(-1) == pytest.approx([-cost[i, shipper(bids, cost)[i]] for i in range(50)], abs=1e-6)
    assert (np.ptp(reward, axis=1) == 0).all()


def test_a_store_observes_its_own_cost_distance_and_shelf() -> None:
    batch = games.make(Fulfilment(distance_cost=3.0, scarcity_cost=1.0), 20)
    share, distance, filled = np.moveaxis(batch.reset(), -1, 0)
    assert share == pytest.approx((3.0 * distance + 1.0 * (1.0 - filled)) / 4.0, abs=1e-6)
    assert 0.0 <= distance.min() < 0.05 < 0.95 < distance.max() <= 1.0
    assert np.array_equal(batch.state().reshape(20, 10, 3), batch.observe())


def test_every_step_brings_another_order() -> None:
    batch = games.make(Fulfilment(episode_steps=5), 3)
    seen = [batch.reset(), *(batch.step(np.zeros((3, 10), int)).observation for _ in range(5))]
    assert len(np.unique(np.stack(seen)[..., 1])) == 6 * 3 * 10


def test_how_often_the_best_store_ships_is_measured() -> None:
    """Bids of one store alone: it ships, and is the cheapest of `n` in one of `n` orders."""
    game = Fulfilment(n_stores=4, episode_steps=50)
    first, best = games.make(game, 100), games.make(game, 100)
    first.reset()
    observation = best.reset()
    for _ in range(50):
        first.step(np.tile([1, 0, 0, 0], (100, 1)))
        observation = best.step(game.truthful(observation)).observation
    assert standard_errors(first.statistics()["best_shipped"], 0.25) < 4
    assert (best.statistics()["best_shipped"] == 1.0).all()


def test_the_optimum_ships_at_the_smallest_cost_which_enumeration_finds() -> None:
    batch = games.make(Fulfilment(n_stores=3, n_bids=3), 30)
    observation = batch.reset()
    reward = batch.step(batch.game.optimum().policy(observation)).reward.sum(-1)
    tried = []
    for bids in itertools.product(range(3), repeat=3):
        other = games.make(batch.game, 30)
        other.reset()
        tried.append(other.step(np.tile(bids, (30, 1))).reward.sum(-1))
    assert np.array_equal(reward, np.max(tried, axis=0))


@pytest.mark.parametrize(("n", "full"), [(2, (0.7, 0.3)), (5, (1.0, 1.0)), (10, (0.1, 2.0))])
def test_the_mean_of_the_smallest_cost(n: int, full: tuple[float, float]) -> None:
    game = Fulfilment(n_stores=n, distance_cost=full[0], scarcity_cost=full[1])
    distance, filled = np.random.default_rng(n).random((2, 100_000, n))
    assert standard_errors(game.cost(distance, filled).min(-1), game.mean_smallest_cost) < 4


def test_the_mean_of_the_smaller_of_two_sums_in_closed_form() -> None:
    """Of sums of two uniforms, mean 1 and mean absolute difference 7 / 15, the smaller has 1 - 7 / 30."""
    assert Fulfilment(n_stores=2, distance_cost=1.0, scarcity_cost=1.0).mean_smallest_cost == pytest.approx(
        1 - 7 / 30, rel=1e-12
    )


@pytest.mark.parametrize("bid", range(5))
def test_equal_bids_are_an_optimum_and_one_that_always_wins_is_none(bid: int) -> None:
    game = Fulfilment()
    assert game.nash_gap(always(np.full(10, bid))) == 0.0
    assert game.nash_gap(always(np.where(np.arange(10) == bid, 4, 0))) > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_gap_is_what_brute_force_finds(seed: int) -> None:
    game, seen = Fulfilment(n_stores=3, n_bids=3), {}

    def policy(observation: FloatArray32) -> Array:
        seen["cost"], seen["bids"] = observation[..., 0].astype(float), at_random(game, seed)(observation)
        return seen["bids"]

    gap, gains = game.nash_gap(policy), np.zeros(3)
    for cost, bids in zip(seen["cost"].tolist(), seen["bids"].tolist(), strict=True):

        def paid(*joint: int, cost: list[float] = cost) -> float:
            return min((-bid, of_store) for bid, of_store in zip(joint, cost, strict=True))[1]

        for store in range(3):
            least = min(paid(*(bid if i == store else bids[i] for i in range(3))) for bid in range(3))
            gains[store] += (paid(*bids) - least) / 3 / len(seen["cost"])
    assert gap == pytest.approx(gains.max(), abs=1e-6)  # observations are float32
