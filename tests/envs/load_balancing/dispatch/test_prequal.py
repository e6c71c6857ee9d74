"""Prequal against a few lines of plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.envs.load_balancing.dispatch.balancer import Balancer
from tests.envs.load_balancing.pools import PROPERTY


class Prober(Balancer):
    """A dispatcher whose probes a test puts into its pool; it sends none unless `probes_per_flow` says so."""

    def __init__(self, weights: Sequence[float], flows: Sequence[int] = (), **settings: Any) -> None:
        super().__init__("prequal", weights, flows, **settings)
        if "probes_per_flow" not in settings:
            rules = list(self.params.rules)
            rules[self.params.rule] = rules[self.params.rule]._replace(probes_per_flow=0)
            self.params = self.params._replace(rules=tuple(rules))

    def probe(self, server: int, in_flight: int, latency_s: float, at_s: float = 0.0) -> None:
        probes, i = self.memory, self.memory.n[0, 0]
        probes.server[0, 0, i], probes.in_flight[0, 0, i] = server, in_flight
        probes.latency_s[0, 0, i], probes.at_s[0, 0, i] = latency_s, at_s
        probes.n[0, 0] = i + 1

    @property
    def probes(self) -> list[tuple[int, int]]:
        """Server and flows in flight of the probes kept, oldest first."""
        n = self.memory.n[0, 0]
        rows = zip(self.memory.server[0, 0, :n], self.memory.in_flight[0, 0, :n], strict=True)
        return [(int(server), int(in_flight)) for server, in_flight in rows]


def hot_cold(in_flight: Sequence[int], latency_s: Sequence[float], q: float) -> int:
    """The index to follow, of probes whose requests in flight all differ: the share ``q`` with the fewest is cold."""
    by_flows = sorted(range(len(in_flight)), key=lambda i: in_flight[i])
    cold = by_flows[: math.floor(q * len(in_flight))]
    return min(cold, key=lambda i: latency_s[i]) if cold else by_flows[0]


@PROPERTY
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=16, unique=True),
    st.permutations(range(1, 17)),
    st.sampled_from([0.0, 0.3, 0.5, 0.84, 1.0]),
)
def test_prequal_follows_the_lowest_latency_of_the_cold_else_the_fewest_in_flight(
    in_flight: list[int], latency_s: list[float], q: float
) -> None:
    balancer = Prober([1.0] * len(in_flight), probe_quantile=q)
    for server in range(len(in_flight)):
        balancer.probe(server, in_flight[server], latency_s[server])
    assert balancer.pick() == hot_cold(in_flight, latency_s, q)
    assert len(balancer.probes) == len(in_flight) - 1


def test_prequal_avoids_a_fast_server_that_is_hot() -> None:
    balancer = Prober([1.0] * 3)
    for server, (in_flight, latency_s) in enumerate([(9, 0.01), (2, 0.50), (1, 0.90)]):
        balancer.probe(server, in_flight, latency_s)
    assert balancer.pick() == 1


def test_prequal_uses_a_probe_once_and_counts_its_flow_on_the_others() -> None:
    balancer = Prober([1.0] * 3)
    for server, in_flight, latency_s in [(0, 1, 0.1), (1, 2, 0.5), (0, 1, 0.2), (2, 9, 0.9)]:
        balancer.probe(server, in_flight, latency_s)
    assert balancer.pick() == 0
    assert balancer.probes == [(1, 2), (0, 2), (2, 9)]


@pytest.mark.parametrize("age_s", [1.01, 5.0])
def test_prequal_never_follows_a_stale_probe(age_s: float) -> None:
    balancer = Prober([1.0] * 3)
    balancer.probe(0, 0, 0.001, at_s=0.0)
    balancer.probe(1, 3, 0.500, at_s=age_s - 0.5)
    balancer.probe(2, 9, 0.900, at_s=age_s - 0.5)
    assert balancer.pick(age_s) == 1
    assert balancer.pick(age_s) == 2
    assert balancer.pick(age_s) == -1


def test_prequal_never_follows_a_probe_of_a_drained_server() -> None:
    balancer = Prober([0.0, 1.0])
    balancer.probe(0, 0, 0.001)
    balancer.probe(1, 5, 0.9)
    assert balancer.pick() == 1
    assert balancer.probes == []


def test_prequal_reads_its_probes_off_the_servers_and_never_keeps_too_many() -> None:
    flows = [3, 1, 4, 2]
    balancer = Prober([1.0] * 4, flows, probe_pool=6, probes_per_flow=3)
    balancer.pick(0.0)
    assert len(balancer.probes) == 2
    for _ in range(50):
        picked = balancer.pick(0.0)
        assert len(balancer.probes) <= 6
        assert all(in_flight >= flows[server] for server, in_flight in balancer.probes)
        assert all(in_flight > flows[server] for server, in_flight in balancer.probes[:3] if server == picked)


def test_prequal_asks_every_server_equally_often() -> None:
    balancer = Prober([1.0, 9.0, 2.0, 1.0], probe_pool=1, probes_per_flow=1)
    picked = np.bincount([balancer.pick(2.0 * flow) for flow in range(8000)], minlength=4)
    assert stats.chisquare(picked).pvalue > 1e-4


def test_prequal_learns_a_plain_moving_average() -> None:
    balancer = Prober([1.0])
    average, last = 0.0, 0.0
    for t, latency_s in [(1.0, 0.5), (4.0, 0.1), (4.5, 0.9)]:
        keep = math.exp(-(t - last) / 10.0)
        average, last = average * keep + latency_s * (1 - keep), t
        balancer.answer(0, t, latency_s)
    assert balancer.memory.ewma_s[0, 0] == pytest.approx(average)
