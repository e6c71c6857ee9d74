"""Costs are summed up by env and episode, beside rewards that know nothing of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from envs.core.batch import BatchEnv
from envs.core.constraints import Constraint
from envs.core.finite import NonFiniteError
from envs.core.simulation import Simulation
from envs.core.terms import reward_term
from envs.core.world import World
from tests.envs.core.test_terms import ALL, Blind, Counter, x, y

GO = np.zeros(3, np.int64)


def world(ends: tuple[int, ...] = (100, 100, 100), **constraints: Any) -> World:
    given = {name: Constraint(cost, 0.5) for name, cost in constraints.items()}
    return World(Counter(ends), Blind(), {"x": x}, constraints=given)


def test_costs_add_up_over_the_steps_of_an_episode_and_begin_anew_with_it() -> None:
    simulation = Simulation(world((100, 2, 100), x=x, y=y), 100)
    simulation.reset()
    assert_array_equal(simulation.costs.total, np.zeros((3, 2)))
    for _ in range(3):
        simulation.advance(GO)
    assert_array_equal(simulation.costs.total[:, 0], [6.0, 3.0, 6.0])  # 1 + 2 + 3; the second ended after 2
    assert_array_equal(simulation.costs.total[:, 1], [24.0, 15.0, 30.0])
    simulation.reset(mask=np.array([True, False, False]))
    simulation.advance(GO)
    assert_array_equal(simulation.costs.total[:, 0], [1.0, 3.0, 10.0])


def test_a_step_says_what_it_costs_and_its_reward_has_nothing_of_it() -> None:
    bare, bounded = BatchEnv(world((100, 1, 100)), 100), BatchEnv(world((100, 1, 100), y=y), 100)
    bare.reset()
    bounded.reset()
    assert_array_equal(bounded.reset_info()["costs"]["y"], np.zeros(3))
    for costs in ([5.0, 6.0, 7.0], [8.0, 0.0, 10.0]):
        ours, theirs = bare.step(GO), bounded.step(GO)
        assert_array_equal(ours[1], theirs[1])
        assert ours[4]["costs"] == {}
        assert_array_equal(theirs[4]["costs"]["y"], costs)


def test_costs_that_remember_begin_with_the_reset() -> None:
    simulation = Simulation(world(sum=(x + 1.0).cumulative()), 100)
    simulation.reset()
    simulation.advance(GO)
    assert_array_equal(simulation.costs.total[:, 0], [3.0] * 3)  # 1 at the reset, 2 after the step
    kept = simulation.get_state()
    simulation.advance(GO)
    after = simulation.costs.total.copy()
    simulation.set_state(kept)
    simulation.advance(GO)
    assert_array_equal(simulation.costs.total, after)
    simulation.reset()
    simulation.advance(GO)
    assert_array_equal(simulation.costs.total[:, 0], [3.0] * 3)


def test_batches_of_one_world_share_no_memory_of_costs() -> None:
    shared = world(sum=x.cumulative())
    one, other = Simulation(shared, 100), Simulation(shared, 100)
    one.reset()
    one.advance(GO)
    other.costs.before_reset(other.measurements, ALL)
    one.advance(GO)
    assert_array_equal(one.costs.total[:, 0], [4.0] * 3)


def test_a_cost_that_is_no_number_is_named() -> None:
    simulation = Simulation(world(odd=reward_term(lambda dynamics: np.where(dynamics.x > 0, np.inf, 0.0))), 100)
    simulation.reset()
    with pytest.raises(NonFiniteError, match="cost odd must be finite, got inf in env 0 at step 1"):
        simulation.advance(GO)


def test_a_cost_per_something_is_bounded_in_the_share_of_sums() -> None:
    """Not in the mean of shares, in which a step with little to be a share of would count as much as any."""
    simulation = Simulation(World(Counter(), Blind(), {"x": x}, constraints={"share": Constraint(x, 0.5, per=y)}), 100)
    simulation.reset()
    for _ in range(3):
        simulation.advance(GO)
    assert_array_equal(simulation.costs.mean[:, 0], 6.0 / np.array([24.0, 27.0, 30.0]))
    batch = BatchEnv(World(Counter(), Blind(), {"x": x}, constraints={"share": Constraint(x, 0.5, per=y)}), 100)
    batch.reset()
    told = [batch.step(GO)[4]["costs"]["share"] for _ in range(3)]
    assert_allclose(told[-1], 3.0 * 3.0 / np.array([24.0, 27.0, 30.0]))  # three steps so far had so many units
