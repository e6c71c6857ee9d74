"""Peak-EWMA against a few lines of plain Python, written from what Finagle says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.envs.load_balancing.dispatch.balancer import Balancer
from tests.envs.load_balancing.pools import PROPERTY

TAU_S = 10.0
GAP_S, LATENCY_S = st.floats(0.0, 20.0), st.floats(1e-3, 5.0)
EVENTS = st.lists(st.tuples(GAP_S, st.one_of(st.none(), st.tuples(st.sampled_from([0, 1]), LATENCY_S))), max_size=20)
"""Time since the event before, and a server with the latency it answers, or None where a request comes."""


class Node:
    """One server as Finagle keeps it."""

    def __init__(self, pending: int, tau_s: float) -> None:
        self.pending, self.tau_s = pending, tau_s
        self.cost, self.stamp_s = 0.0, 0.0

    def observe(self, t: float, rtt_s: float) -> None:
        weight = math.exp(-max(t - self.stamp_s, 0.0) / self.tau_s)
        self.cost = rtt_s if rtt_s > self.cost else self.cost * weight + rtt_s * (1.0 - weight)
        self.stamp_s = t

    def load(self, t: float) -> float:
        self.observe(t, 0.0)
        return 1e9 + self.pending if self.cost == 0.0 and self.pending else self.cost * (self.pending + 1)


def cost(balancer: Balancer, server: int = 0) -> float:
    return float(balancer.memory.ewma_s[0, 0, server])


@PROPERTY
@given(EVENTS, st.tuples(st.integers(0, 5), st.integers(0, 5)), st.floats(0.5, 20.0))
def test_a_sequence_of_requests_and_answers_goes_as_in_finagle(
    events: list[tuple[float, tuple[int, float] | None]], pending: tuple[int, int], tau_s: float
) -> None:
    balancer = Balancer("peak_ewma", [1.0, 5.0], pending, ewma_s=tau_s)
    nodes = [Node(held, tau_s) for held in pending]
    t = 0.0
    for gap_s, answer in events:
        t += gap_s
        if answer is None:
            loads = [node.load(t) for node in nodes]
            server = balancer.pick(t)
            assert loads[server] <= loads[1 - server] * (1.0 + 1e-9)
        else:
            nodes[answer[0]].observe(t, answer[1])
            balancer.answer(answer[0], t, answer[1])
        assert [cost(balancer, server) for server in (0, 1)] == pytest.approx([node.cost for node in nodes], abs=1e-12)


@PROPERTY
@given(LATENCY_S, st.floats(1.0, 100.0), st.floats(0.0, 1.0))
def test_after_a_silence_an_answer_above_what_is_left_of_the_peak_replaces_it(
    peak_s: float, silence_s: float, share: float
) -> None:
    """Every request reads the loads, so what an answer is held against has decayed."""
    balancer = Balancer("peak_ewma", [1.0, 1.0], ewma_s=TAU_S)
    balancer.answer(0, 0.0, peak_s)
    balancer.pick(silence_s)
    left_s = peak_s * math.exp(-silence_s / TAU_S)
    latency_s = left_s + share * (peak_s - left_s) + 1e-9
    balancer.answer(0, silence_s + 0.5, latency_s)
    assert cost(balancer) == latency_s


def test_half_a_second_is_half_a_second_long_after_a_peak_of_one() -> None:
    balancer = Balancer("peak_ewma", [1.0, 1.0], ewma_s=TAU_S)
    balancer.answer(0, 0.0, 1.0)
    balancer.pick(100.0)
    balancer.answer(0, 100.0, 0.5)
    assert cost(balancer) == 0.5


@PROPERTY
@given(LATENCY_S, st.lists(GAP_S, min_size=1, max_size=10))
def test_how_often_a_load_is_read_does_not_matter(latency_s: float, gaps_s: list[float]) -> None:
    often, once = (Balancer("peak_ewma", [1.0, 1.0], ewma_s=TAU_S) for _ in range(2))
    for balancer in (often, once):
        balancer.answer(0, 0.0, latency_s)
    for t in np.cumsum(gaps_s):
        often.pick(float(t))
    once.pick(float(np.sum(gaps_s)))
    assert cost(often) == pytest.approx(cost(once))


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
