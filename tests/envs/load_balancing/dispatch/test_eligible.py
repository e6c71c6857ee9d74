"""Which servers take part, whatever the dispatch rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.load_balancing.config import DISPATCH_RULES
from envs.load_balancing.kernel.servers.state import BOOTING
from tests.envs.load_balancing.dispatch.balancer import LOADED, Balancer
from tests.envs.load_balancing.pools import PROPERTY


@pytest.mark.parametrize("name", DISPATCH_RULES)
@PROPERTY
@given(LOADED, st.data())
def test_only_weighted_booted_servers_not_known_to_be_down_are_picked(
    name: str, state: list[tuple[float, int]], data: st.DataObject
) -> None:
    n = len(state)
    balancer = Balancer(name, *zip(*state, strict=True))
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    booting, down = np.array(data.draw(flags)), np.array(data.draw(flags))
    balancer.servers.status[0, booting] = BOOTING
    balancer.servers.known_down[0, 0] = down
    weighted = (balancer.servers.weight[0, 0] > 0) & ~down
    allowed = set(np.flatnonzero(weighted & ~booting)) or set(np.flatnonzero(weighted)) or {-1}
    assert {balancer.pick() for _ in range(4)} <= allowed


@pytest.mark.parametrize("name", DISPATCH_RULES)
def test_a_server_alone_gets_every_flow(name: str) -> None:
    assert set(Balancer(name, [0.0, 3.0, 0.0], [0, 5, 0]).pick_many(20)) == {1}
