"""Peak-EWMA against a few lines of plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.envs.load_balancing.dispatch.balancer import Balancer
from tests.envs.load_balancing.pools import PROPERTY


@PROPERTY
@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(1e-3, 5.0)), min_size=1, max_size=20), st.floats(0.5, 20.0))
def test_peak_ewma_learns_as_finagle(answers: list[tuple[float, float]], tau_s: float) -> None:
    balancer = Balancer("peak_ewma", [1.0], ewma_s=tau_s)
    t, cost = 0.0, 0.0
    for gap_s, latency_s in answers:
        t += gap_s
        decay = math.exp(-gap_s / tau_s)
        cost = latency_s if latency_s > cost else cost * decay + latency_s * (1 - decay)
        balancer.answer(0, t, latency_s)
        assert balancer.memory.ewma_s[0, 0] == pytest.approx(cost)


@PROPERTY
@given(
    st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 5.0)),
    st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 10.0)),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_peak_ewma_picks_the_lower_decayed_cost_times_pending(
    latency_s: tuple[float, float], at_s: tuple[float, float], flows: tuple[int, int]
) -> None:
    balancer = Balancer("peak_ewma", [1.0, 5.0], flows)
    for server in (0, 1):
        balancer.answer(server, at_s[server], latency_s[server])
    scores = [latency_s[i] * math.exp(-(10.0 - at_s[i]) / 10.0) * (flows[i] + 1) for i in (0, 1)]
    if scores[0] != pytest.approx(scores[1]):
        assert balancer.pick(10.0) == int(np.argmin(scores))


def test_peak_ewma_tries_an_idle_server_that_never_answered_and_shuns_a_pending_one() -> None:
    idle = Balancer("peak_ewma", [1.0, 1.0], [0, 0])
    pending = Balancer("peak_ewma", [1.0, 1.0], [0, 1])
    for balancer in (idle, pending):
        balancer.answer(0, 0.0, 0.2)
    assert set(idle.pick_many(20)) == {1}
    assert set(pending.pick_many(20)) == {0}
