"""Multipliers rise while costs are above their bounds, are 0 where nothing binds, and settle at what a bound is worth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.core.validation import SettingError
from hierarchy.lower.multipliers import MultiplierConfig, Multipliers

BOUND = {"late": 0.2}
WORTH = 2.7
"""Multiplier at which a plant's cost stays where it is."""


def fed(multipliers: Multipliers, cost: float, kind: int = 0, n: int = 100) -> float:
    """The multiplier of a kind after a rollout that cost so much a step, all of it under that kind."""
    multipliers.update(np.full(n, kind), np.full((n, len(BOUND)), cost))
    return float(multipliers.values[kind, 0])


def run(config: MultiplierConfig, n_rollouts: int = 400) -> np.ndarray:
    """Costs of a plant that moves against the multiplier, as a policy's do: the dearer, the less of it."""
    multipliers, cost, costs = Multipliers(config, BOUND, 1), 0.8, []
    for _ in range(n_rollouts):
        cost = float(np.clip(cost - 0.02 * (fed(multipliers, cost) - WORTH), 0.0, 1.0))
        costs.append(cost)
    return np.array(costs)


def test_what_stays_below_its_bound_is_worth_nothing() -> None:
    multipliers = Multipliers(MultiplierConfig(), BOUND, 1)
    assert [fed(multipliers, cost) for cost in (0.0, 0.1, 0.2)] == [0.0, 0.0, 0.0]


def test_a_multiplier_rises_above_the_bound_and_falls_to_0_below_it() -> None:
    multipliers = Multipliers(MultiplierConfig(keep=0.0), BOUND, 1)
    rising = [fed(multipliers, 0.4) for _ in range(20)]
    falling = [fed(multipliers, 0.0) for _ in range(60)]
    assert rising == sorted(rising)
    assert rising[0] > 0
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == 0


def test_both_parts_settle_where_the_integral_alone_swings() -> None:
    damped, plain = (run(MultiplierConfig(keep=0.0, proportional=p, integral=0.05)) for p in (1.0, 0.0))
    assert damped[-50:] == pytest.approx(np.full(50, BOUND["late"]), rel=1e-3)
    assert np.ptp(plain[-50:]) > 0.1


def test_the_rise_of_an_error_counts_and_its_fall_does_not() -> None:
    plain, quick = (Multipliers(MultiplierConfig(keep=0.0, derivative=d), BOUND, 1) for d in (0.0, 0.5))
    steps = [(fed(plain, cost), fed(quick, cost)) for cost in (0.4, 0.6, 0.6, 0.5)]
    assert [quick > plain for plain, quick in steps] == [True, True, False, False]


def test_what_was_far_above_a_small_bound_is_forgotten_as_soon_as_it_was_learned() -> None:
    """Errors are held within [-1, 1], or the sum of those above would be many times what those below can take off."""
    multipliers = Multipliers(MultiplierConfig(keep=0.0), {"late": 0.01}, 1)
    for _ in range(10):
        high = fed(multipliers, 0.25)
    for _ in range(11):
        low = fed(multipliers, 0.0)
    assert (high > 1.0, low) == (True, 0.0)


def test_a_kind_knows_nothing_of_what_others_cost() -> None:
    multipliers = Multipliers(MultiplierConfig(), BOUND, 3)
    fed(multipliers, 0.9, kind=1)
    assert (multipliers.values[:, 0] > 0).tolist() == [False, True, False]


def test_a_kind_that_is_rare_moves_as_slowly_as_it_is_rare() -> None:
    config = MultiplierConfig(proportional=0.0, keep=0.0)
    multipliers = Multipliers(config, BOUND, 2)
    multipliers.update(np.array([0] * 90 + [1] * 10), np.full((100, 1), 0.4))
    assert multipliers.values[0, 0] == pytest.approx(9.0 * multipliers.values[1, 0])


def test_a_bound_of_nothing_is_kept_by_costs_themselves() -> None:
    multipliers = Multipliers(MultiplierConfig(), {"late": 0.0}, 1)
    assert [fed(multipliers, cost) > 0 for cost in (0.0, 0.1)] == [False, True]


def test_multipliers_set_by_hand_stay() -> None:
    multipliers = Multipliers(MultiplierConfig(fixed={"lost": 0.5, "late": 1.5}), {"late": 0.1, "lost": 0.2}, 2)
    multipliers.update(np.zeros(4, np.int64), np.full((4, 2), 0.9))
    assert_array_equal(multipliers.values, [[1.5, 0.5], [1.5, 0.5]])


def test_multipliers_set_by_hand_stay_whatever_an_agent_begins_with() -> None:
    multipliers = Multipliers(MultiplierConfig(fixed={"late": 1.5}), BOUND, 2)
    multipliers.moving["values"][:] = 7.0
    fed(multipliers, 0.9)
    assert_array_equal(multipliers.values, [[1.5], [1.5]])


def test_it_goes_on_from_a_state() -> None:
    one, other = (Multipliers(MultiplierConfig(derivative=0.1), BOUND, 2) for _ in range(2))
    fed(one, 0.9)
    other.set_state(one.get_state())
    assert [fed(one, cost) for cost in (0.3, 0.1)] == [fed(other, cost) for cost in (0.3, 0.1)]


def test_a_multiplier_below_0_is_refused() -> None:
    with pytest.raises(SettingError, match=r"fixed\.late must be >= 0"):
        MultiplierConfig(fixed={"late": -1.0})
