"""Smooth weighted round robin against a few lines of plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.envs.load_balancing.dispatch.balancer import Balancer
from tests.envs.load_balancing.pools import PROPERTY


@PROPERTY
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6).filter(any), st.integers(1, 3))
def test_every_cycle_of_smooth_round_robin_holds_each_server_as_often_as_its_weight(weights: list[int], n: int) -> None:
    balancer = Balancer("wrr", [float(weight) for weight in weights])
    for _ in range(n):
        assert np.bincount(balancer.pick_many(sum(weights)), minlength=len(weights)).tolist() == weights
    assert (balancer.memory.current[0] == 0).all()


@PROPERTY
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_smooth_round_robin_takes_the_largest_current_weight(weights: list[int]) -> None:
    balancer = Balancer("wrr", [float(weight) for weight in weights])
    current = np.zeros(len(weights))
    for _ in range(2 * sum(weights)):
        current += weights
        picked = balancer.pick()
        assert current[picked] == current.max()
        current[picked] -= sum(weights)


def test_smooth_round_robin_is_smooth() -> None:
    """The example of nginx: weights 5, 1, 1 give a a b a c a a, the others in either order."""
    picked = "".join("abc"[server] for server in Balancer("wrr", [5.0, 1.0, 1.0]).pick_many(7))
    assert picked in ("aabacaa", "aacabaa")
