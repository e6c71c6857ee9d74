"""The rules of the least expected delay against a few lines of plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from tests.envs.load_balancing.dispatch.balancer import LOADED, Balancer, lowest
from tests.envs.load_balancing.pools import PROPERTY


@PROPERTY
@given(LOADED.filter(lambda state: any(weight > 0 for weight, _ in state)))
def test_sed_picks_the_shortest_expected_delay(state: list[tuple[float, int]]) -> None:
    scores = {server: (flows + 1) / weight for server, (weight, flows) in enumerate(state) if weight > 0}
    assert Balancer("sed", *zip(*state, strict=True)).pick() in lowest(scores)


@PROPERTY
@given(LOADED.filter(lambda state: any(weight > 0 for weight, _ in state)))
def test_leastconn_counts_an_idle_server_as_zero(state: list[tuple[float, int]]) -> None:
    scores = {server: (flows + 1) / weight if flows else 0.0 for server, (weight, flows) in enumerate(state) if weight > 0}
    assert Balancer("leastconn", *zip(*state, strict=True)).pick() in lowest(scores)


def test_an_idle_tie_of_leastconn_ignores_the_weights_and_that_of_sed_does_not() -> None:
    weights, flows = [1.0, 2.0, 7.0, 9.0], [0, 0, 0, 1]
    picked = np.bincount(Balancer("leastconn", weights, flows).pick_many(3000), minlength=4)
    assert picked[3] == 0
    assert stats.chisquare(picked[:3]).pvalue > 1e-4
    assert set(Balancer("sed", weights, flows).pick_many(50)) == {2}


@pytest.mark.parametrize("name", ["sed", "leastconn"])
def test_waiting_flows_count_as_much_as_those_in_service(name: str) -> None:
    balancer = Balancer(name, [1.0, 1.0], [1, 2])
    balancer.servers.n_waiting[0] = [4, 1]
    assert set(balancer.pick_many(20)) == {1}
