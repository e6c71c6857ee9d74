"""Each dispatch rule against a few lines of plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from envs.core.rng import streams
from envs.load_balancing.config import DISPATCH_RULES, Dispatch, DispatchRule
from envs.load_balancing.kernel.dispatch import Dispatcher, Rule, choose, learn, new_dispatcher, rank, rule
from envs.load_balancing.kernel.servers import BOOTING, ON, Servers, new_servers
from tests.envs.load_balancing.pools import PROPERTY

WEIGHTS = st.one_of(st.just(0.0), st.floats(0.1, 8.0))
LOADED = st.lists(st.tuples(WEIGHTS, st.integers(0, 6)), min_size=1, max_size=7)
"""Weight and flows in flight of every server."""


class Balancer:
    """One dispatcher before servers whose weights and flows in flight a test sets."""

    def __init__(self, name: DispatchRule, weights: Sequence[float], flows: Sequence[int] = (), **settings: Any) -> None:
        n = len(weights)
        config = Dispatch(name, **{key: value for key, value in settings.items() if key != "n_probes"})
        self.rule: Rule = rule(config)._replace(probes_per_flow=settings.get("n_probes", config.probes_per_flow))
        self.memory: Dispatcher = new_dispatcher(1, n, config.probe_pool)
        self.servers: Servers = new_servers(1, n, 8)
        self.servers.status[:] = ON
        self.servers.weight[0] = weights
        self.servers.n_running[0] = list(flows) or [0] * n
        self.streams = streams(0, "train", [0])

    def pick(self, t: float = 0.0) -> int:
        for server in range(self.servers.weight.shape[1]):
            rank(self.rule, self.servers, self.memory, 0, server)
        return int(choose(self.rule, self.servers, self.memory, self.streams, 0, t))

    def pick_many(self, n: int) -> np.ndarray:
        return np.array([self.pick() for _ in range(n)])

    def answer(self, server: int, t: float, latency_s: float) -> None:
        learn(self.rule, self.memory, 0, server, t, latency_s)

    def probe(self, server: int, in_flight: int, latency_s: float, at_s: float = 0.0) -> None:
        """Put a probe into the pool of Prequal."""
        memory, i = self.memory, self.memory.n_probes[0]
        memory.probe_server[0, i], memory.probe_in_flight[0, i] = server, in_flight
        memory.probe_latency_s[0, i], memory.probe_at_s[0, i] = latency_s, at_s
        memory.n_probes[0] = i + 1

    @property
    def probes(self) -> list[tuple[int, int]]:
        """Server and flows in flight of the probes kept, oldest first."""
        n = self.memory.n_probes[0]
        rows = zip(self.memory.probe_server[0, :n], self.memory.probe_in_flight[0, :n], strict=True)
        return [(int(server), int(in_flight)) for server, in_flight in rows]


def lowest(scores: dict[int, float]) -> set[int]:
    return {server for server, score in scores.items() if score == min(scores.values())}


# Who takes part


@pytest.mark.parametrize("name", DISPATCH_RULES)
@PROPERTY
@given(LOADED, st.data())
def test_only_weighted_booted_servers_not_known_to_be_down_are_picked(
    name: DispatchRule, state: list[tuple[float, int]], data: st.DataObject
) -> None:
    n = len(state)
    balancer = Balancer(name, *zip(*state, strict=True))
    flags = st.lists(st.booleans(), min_size=n, max_size=n)
    booting, down = np.array(data.draw(flags)), np.array(data.draw(flags))
    balancer.servers.status[0, booting] = BOOTING
    balancer.servers.known_down[0] = down
    weighted = (balancer.servers.weight[0] > 0) & ~down
    allowed = set(np.flatnonzero(weighted & ~booting)) or set(np.flatnonzero(weighted)) or {-1}
    assert {balancer.pick() for _ in range(4)} <= allowed


@pytest.mark.parametrize("name", DISPATCH_RULES)
def test_a_server_alone_gets_every_flow(name: DispatchRule) -> None:
    assert set(Balancer(name, [0.0, 3.0, 0.0], [0, 5, 0]).pick_many(20)) == {1}


# Shortest expected delay and least connections


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
def test_waiting_flows_count_as_much_as_those_in_service(name: DispatchRule) -> None:
    balancer = Balancer(name, [1.0, 1.0], [1, 2])
    balancer.servers.n_waiting[0] = [4, 1]
    assert set(balancer.pick_many(20)) == {1}


# Weighted round robin


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


# Random rules


def test_weighted_random_picks_in_proportion_to_the_weights() -> None:
    weights = np.array([1.0, 0.0, 4.0, 2.5, 0.5])
    picked = np.bincount(Balancer("weighted_random", weights).pick_many(20_000), minlength=5)
    assert picked[1] == 0
    kept = weights > 0
    assert stats.chisquare(picked[kept], 20_000 * weights[kept] / weights.sum()).pvalue > 1e-4


def test_weighted_random_remembers_nothing() -> None:
    picked = Balancer("weighted_random", [1.0, 1.0]).pick_many(20_000)
    assert abs(np.corrcoef(picked[1:], picked[:-1])[0, 1]) < 4 / math.sqrt(20_000)


def chances_of_two(n: int) -> np.ndarray:
    """Probability that the r-th best of ``n`` wins against one drawn from the others."""
    return 2.0 * (n - 1 - np.arange(n)) / (n * (n - 1))


def test_power_of_two_takes_the_better_of_two_drawn_evenly() -> None:
    picked = np.bincount(Balancer("power_of_two", [1.0, 2.0, 1.0, 4.0], [3, 1, 1, 6]).pick_many(20_000), minlength=4)
    best_first = np.argsort([4 / 1, 2 / 2, 2 / 1, 7 / 4])
    expected = 20_000 * chances_of_two(4)
    assert picked[best_first[-1]] == 0
    assert stats.chisquare(picked[best_first[:-1]], expected[:-1]).pvalue > 1e-4


def test_power_of_two_breaks_a_tie_of_the_two_evenly() -> None:
    picked = np.bincount(Balancer("power_of_two", [1.0, 1.0], [2, 2]).pick_many(5000), minlength=2)
    assert stats.chisquare(picked).pvalue > 1e-4


# Peak-EWMA


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


# Prequal


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
    balancer = Balancer("prequal", [1.0] * len(in_flight), n_probes=0, probe_quantile=q)
    for server in range(len(in_flight)):
        balancer.probe(server, in_flight[server], latency_s[server])
    assert balancer.pick() == hot_cold(in_flight, latency_s, q)
    assert len(balancer.probes) == len(in_flight) - 1


def test_prequal_avoids_a_fast_server_that_is_hot() -> None:
    balancer = Balancer("prequal", [1.0] * 3, n_probes=0)
    for server, (in_flight, latency_s) in enumerate([(9, 0.01), (2, 0.50), (1, 0.90)]):
        balancer.probe(server, in_flight, latency_s)
    assert balancer.pick() == 1


def test_prequal_uses_a_probe_once_and_counts_its_flow_on_the_others() -> None:
    balancer = Balancer("prequal", [1.0] * 3, n_probes=0)
    for server, in_flight, latency_s in [(0, 1, 0.1), (1, 2, 0.5), (0, 1, 0.2), (2, 9, 0.9)]:
        balancer.probe(server, in_flight, latency_s)
    assert balancer.pick() == 0
    assert balancer.probes == [(1, 2), (0, 2), (2, 9)]


@pytest.mark.parametrize("age_s", [1.01, 5.0])
def test_prequal_never_follows_a_stale_probe(age_s: float) -> None:
    balancer = Balancer("prequal", [1.0] * 3, n_probes=0)
    balancer.probe(0, 0, 0.001, at_s=0.0)
    balancer.probe(1, 3, 0.500, at_s=age_s - 0.5)
    balancer.probe(2, 9, 0.900, at_s=age_s - 0.5)
    assert balancer.pick(age_s) == 1
    assert balancer.pick(age_s) == 2
    assert balancer.pick(age_s) == -1


def test_prequal_never_follows_a_probe_of_a_drained_server() -> None:
    balancer = Balancer("prequal", [0.0, 1.0], n_probes=0)
    balancer.probe(0, 0, 0.001)
    balancer.probe(1, 5, 0.9)
    assert balancer.pick() == 1
    assert balancer.probes == []


def test_prequal_reads_its_probes_off_the_servers_and_never_keeps_too_many() -> None:
    flows = [3, 1, 4, 2]
    balancer = Balancer("prequal", [1.0] * 4, flows, probe_pool=6, n_probes=3)
    balancer.pick(0.0)
    assert len(balancer.probes) == 2
    for _ in range(50):
        picked = balancer.pick(0.0)
        assert len(balancer.probes) <= 6
        assert all(in_flight >= flows[server] for server, in_flight in balancer.probes)
        assert all(in_flight > flows[server] for server, in_flight in balancer.probes[:3] if server == picked)


def test_prequal_asks_every_server_equally_often() -> None:
    balancer = Balancer("prequal", [1.0, 9.0, 2.0, 1.0], probe_pool=1, n_probes=1)
    picked = np.bincount([balancer.pick(2.0 * flow) for flow in range(8000)], minlength=4)
    assert stats.chisquare(picked).pvalue > 1e-4


def test_prequal_learns_a_plain_moving_average() -> None:
    balancer = Balancer("prequal", [1.0])
    average, last = 0.0, 0.0
    for t, latency_s in [(1.0, 0.5), (4.0, 0.1), (4.5, 0.9)]:
        keep = math.exp(-(t - last) / 10.0)
        average, last = average * keep + latency_s * (1 - keep), t
        balancer.answer(0, t, latency_s)
    assert balancer.memory.ewma_s[0, 0] == pytest.approx(average)
