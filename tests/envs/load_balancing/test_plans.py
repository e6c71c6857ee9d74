"""Plans: which servers each backend has on, by their place in order of price."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from envs.load_balancing.plans import N_TIERS, placed, plans


@pytest.mark.parametrize(
    ("n_servers", "n_backends", "n_plans"), [(1, 1, 1), (2, 2, 3 * 2), (4, 1, 10), (4, 2, 10 * 4), (12, 2, 40)]
)
def test_the_first_backend_has_any_stretch_and_the_others_the_cheapest(
    n_servers: int, n_backends: int, n_plans: int
) -> None:
    made = plans(n_servers, n_backends)
    assert made.shape == (n_plans, n_backends, n_servers)
    assert len({plan.tobytes() for plan in made}) == n_plans
    for first, *others in made:
        assert (np.diff(np.flatnonzero(first)) == 1).all()
        assert first.any()
        for other in others:
            n_on = np.count_nonzero(other)
            assert n_on > 0
            assert other[:n_on].all()


def test_of_many_servers_neighbours_are_switched_together() -> None:
    """Twelve servers in four tiers of three."""
    switched = plans(12, 1)[:, 0].reshape(-1, N_TIERS, 3)
    assert (switched.all(-1) | ~switched.any(-1)).all()


def test_a_plan_is_placed_by_the_order_of_every_env() -> None:
    plan = np.array([[[True, False, False], [True, True, False]]] * 2)
    order = np.array([[2, 0, 1], [0, 1, 2]])
    expected = [[[False, False, True], [True, False, True]], [[True, False, False], [True, True, False]]]
    assert_array_equal(placed(plan, order), expected)
