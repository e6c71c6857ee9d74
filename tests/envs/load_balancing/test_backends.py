"""A backend for every class of requests: weights, dispatcher and counts of its own, over servers that all share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from envs.load_balancing.config import CLASSES, DISPATCH_RULES, LoadBalancingConfig, Prequal, RandomDraws, Wrr
from envs.load_balancing.config.world import Backends
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.state import OFF, ON
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.closed_forms import agrees, mmc_latency_s
from tests.envs.load_balancing.pools import (
    advance,
    count,
    figures_of,
    held,
    inject,
    leaves,
    run,
    same_weights,
    servers,
    started,
    steady,
    totals_of,
)

COUNTING = ("sed", "leastconn", "random", "power_of_two", "peak_ewma", "prequal")
"""Dispatch rules that count flows."""
FOREVER_S = 1e9
APART = [[1.0, 0.0], [0.0, 1.0]]
"""The first server for interactive requests, the second for batch."""


def own(world: LoadBalancing, weights: object) -> np.ndarray:
    """Weights ``(n_backends, n_servers)``, the same for all envs."""
    return np.broadcast_to(np.asarray(weights, np.float64), same_weights(world).shape).copy()


def go(world: LoadBalancing, n_steps: int, weights: object) -> LoadBalancing:
    """Advance under constant weights ``(n_backends, n_servers)``."""
    in_force = own(world, weights)
    for _ in range(n_steps):
        advance(world, in_force)
    return world


# Closed forms.


@pytest.mark.parametrize(("service", "work"), [("ps", "exponential"), ("ps", "lognormal"), ("fcfs", "exponential")])
def test_with_servers_of_its_own_each_class_is_a_queue_of_its_own(service: str, work: str) -> None:
    """0.6 requests a second at one core and 1.5 at three: as M/M/1 and M/M/3, under PS whatever the work."""
    workload = steady(2.1 / 4.0, interactive_share=0.6 / 2.1, work=work)
    config = LoadBalancingConfig(pool=servers([1, 3], service=service, max_flows=2048), workload=workload, dt_s=50.0)
    world = go(started(config, 64, seed=2), 10, APART)
    since = totals_of(world)
    figures = figures_of(go(world, 700, APART), since)
    expected = {"interactive": mmc_latency_s(1, 0.6), "batch": mmc_latency_s(3, 0.5)}
    for name in CLASSES:
        assert agrees(figures[f"latency_mean_ms_{name}"] / 1e3, expected[name]), name


def test_a_class_that_shares_a_server_shares_its_cores() -> None:
    """Processor sharing: two classes on one core at 0.3 each wait as one at 0.6."""
    config = LoadBalancingConfig(pool=servers([1], max_flows=2048), workload=steady(0.6, interactive_share=0.5), dt_s=50.0)
    world = run(started(config, 64, seed=3), 10)
    since = totals_of(world)
    figures = figures_of(run(world, 900), since)
    for name in CLASSES:
        assert agrees(figures[f"latency_mean_ms_{name}"] / 1e3, mmc_latency_s(1, 0.6)), name


# Beside a backend for all.


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_traffic_of_one_class_has_the_same_bits_as_with_one_backend(rule: str, share: float) -> None:
    pool = servers(
        [2, 1, 1], [1.0, 2.0, 0.5], max_flows=4, failure_rate_hz=0.02, repair_s=3.0, slowdown_rate_hz=0.05, slowdown_s=2.0
    )
    config = LoadBalancingConfig(
        pool=pool,
        workload=steady(0.9, interactive_share=share, retries=0.5),
        dispatch=DISPATCH_RULES[rule](),
        dt_s=0.5,
    )
    by_class, joint = started(config, 4), started(replace(config, backends="joint"), 4)
    choices = np.random.default_rng(0).choice([0.0, 0.5, 1.0, 1.0], (200, 4, 1, 3))
    for weights in choices:
        advance(by_class, np.repeat(weights, 2, axis=1))
        advance(joint, weights)
    assert count(joint, accounts.COMPLETED).sum() > 300
    assert count(joint, accounts.LOST).sum() > 0
    assert count(joint, accounts.REJECTED).sum() > 0
    assert same_but_for_backends(by_class, joint)


def same_but_for_backends(by_class: LoadBalancing, joint: LoadBalancing) -> bool:
    """Whether two states hold the same, but for weights and dispatchers, which have an axis of backends."""
    parts = []
    for world in (by_class, joint):
        state = world.state
        parts.append(list(leaves(state._replace(dispatcher=(), servers=state.servers._replace(weight=())))))
    return all(np.array_equal(a, b) for a, b in zip(*parts, strict=True))


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_a_backend_that_nobody_comes_to_changes_nothing(rule: str) -> None:
    """Its weights keep servers on; where they are on anyway, nothing that happens depends on them."""
    pool = servers([2, 1, 1], [1.0, 2.0, 0.5], max_flows=4, failure_rate_hz=0.02, repair_s=3.0)
    config = LoadBalancingConfig(pool=pool, workload=steady(0.9, retries=0.5), dispatch=DISPATCH_RULES[rule](), dt_s=0.5)
    quiet, restless = started(config, 4), started(config, 4)
    rng = np.random.default_rng(0)
    for _ in range(200):
        interactive = rng.choice([0.25, 0.5, 1.0], (4, 1, 3))
        advance(quiet, np.concatenate([interactive, interactive], axis=1))
        advance(restless, np.concatenate([interactive, rng.choice([0.0, 0.5, 4.0], (4, 1, 3))], axis=1))
    a, b = quiet.state, restless.state
    assert np.array_equal(a.counts, b.counts)
    assert np.array_equal(a.answered, b.answered)
    assert np.array_equal(a.streams, b.streams)
    assert np.allclose(a.times, b.times, rtol=1e-9)
    assert count(quiet, accounts.COMPLETED).sum() > 300


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_alike_classes_may_swap_their_backends(rule: str) -> None:
    """Half of the requests are of each class, so all that weights do for one they do for the other."""
    pool = servers([2, 1, 1], [1.0, 2.0, 0.5], max_flows=16, failure_rate_hz=0.01, repair_s=3.0)
    workload = steady(0.6, interactive_share=0.5, deadline_s=2.0)
    config = LoadBalancingConfig(pool=pool, workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=1.0)
    weights = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 3.0]])
    here = figures_of(go(started(config, 64, seed=0), 400, weights))
    there = figures_of(go(started(config, 64, seed=1), 400, weights[::-1]))
    for one, other in zip(CLASSES, CLASSES[::-1], strict=True):
        for name in ("latency_mean_ms", "late_share", "lost_share"):
            a, b = here[f"{name}_{one}"], there[f"{name}_{other}"]
            assert abs((a - b).mean()) < 4.5 * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 64), (name, one)
    interactive, batch = (here[f"latency_mean_ms_{name}"] for name in CLASSES)
    assert abs((interactive - batch).mean()) > 10 * (interactive - batch).std(ddof=1) / 8.0  # it matters which is which


# Who goes where.


@pytest.mark.parametrize("rule", DISPATCH_RULES)
def test_a_class_goes_only_where_its_backend_has_weight(rule: str) -> None:
    config = LoadBalancingConfig(
        pool=servers([1, 1, 1]), workload=steady(0.5, interactive_share=0.5), dispatch=DISPATCH_RULES[rule](), dt_s=0.5
    )
    world, weights = started(config, 8), np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 2.0]])
    seen = np.zeros((2, 3), np.int64)
    for _ in range(200):
        seen += go(world, 1, weights).measurements.n_flows.sum(0)
    assert np.array_equal(seen > 0, weights > 0)


@pytest.mark.parametrize(("backends", "held_class"), [("class", 1), ("class", 0), ("joint", 1)])
@pytest.mark.parametrize("rule", COUNTING)
def test_a_dispatcher_counts_the_flows_of_its_own_backend(rule: str, backends: Backends, held_class: int) -> None:
    """Five flows lie on the first of two servers: the next interactive one avoids it, unless they are another backend's."""
    config = LoadBalancingConfig(
        pool=servers([8, 8]), workload=steady(0.01), dispatch=DISPATCH_RULES[rule](), backends=backends, dt_s=1.0
    )
    world = started(config, 3000)
    for _ in range(5):
        inject(world, 0, FOREVER_S, flow_class=held_class)
    before = count(world, accounts.ARRIVED)[:, 0]
    run(world, 4)
    first = count(world, accounts.ARRIVED)[:, 0] - before == 1
    went = world.state.servers.n_flows[first, 0] + world.state.answered[first] - [5 * (held_class == 0), 0]
    assert (went.sum(-1) == 1).all()
    assert len(went) > 300
    both_alike = {"prequal": 0.5 ** Prequal().probes_per_flow, "random": 0.5 ** RandomDraws().draws}  # drawn again and again
    share = 0.5 if (backends, held_class) == ("class", 1) else both_alike.get(rule, 0.0)
    assert stats.binomtest(int(went[:, 0].sum()), len(went), share).pvalue > 1e-4


def test_round_robin_turns_for_every_class_by_itself() -> None:
    config = LoadBalancingConfig(
        pool=servers([4, 4], max_flows=1024), workload=steady(0.5, interactive_share=0.5), dispatch=Wrr(), dt_s=1.0
    )
    config = replace(config, workload=longer(config, FOREVER_S))
    world = started(config, 8)
    for _ in range(200):
        n_flows = run(world, 1).state.servers.n_flows
        assert (np.abs(n_flows[..., 0] - n_flows[..., 1]) <= 1).all()
    assert (n_flows.sum(-1) > 20).all()


def longer(config: LoadBalancingConfig, mean_work_s: float):  # type: ignore[no-untyped-def]
    """The workload with as many requests of so much more work that none is ever answered."""
    workload = config.workload
    flow = replace(workload.interactive, mean_work_s=mean_work_s)
    rate_hz = float(workload.regimes.load[0] * config.pool.capacity.sum())
    return replace(workload, rate_hz=rate_hz, interactive=flow, batch=flow)


# When a server is on.


def test_a_server_is_on_while_any_class_gives_it_weight() -> None:
    config = LoadBalancingConfig(pool=servers([1, 1], boot_s=0.5, min_billed_s=0.0), workload=steady(0.0), dt_s=1.0)
    world = started(config)
    plan = [
        ([[1, 0], [0, 1]], [ON, ON], 0),
        ([[0, 0], [1, 1]], [ON, ON], 0),  # another class has it now: nothing is switched
        ([[1, 0], [0, 0]], [ON, OFF], 0),
        ([[1, 0], [1, 0]], [ON, OFF], 0),
        ([[0, 1], [1, 0]], [ON, ON], 1),
        ([[0, 0], [0, 1]], [OFF, ON], 1),
        ([[0, 0], [0, 0]], [OFF, OFF], 1),
        ([[1, 0], [1, 1]], [ON, ON], 3),
    ]
    for weights, status, n_starts in plan:
        go(world, 1, weights)
        assert world.state.servers.status[0].tolist() == status
        assert (world.state.servers.billed_s[0] > 0).tolist() == [one == ON for one in status]
        assert world.state.n_starts[0] == n_starts


def test_a_class_that_leaves_a_server_lets_its_flows_finish_there() -> None:
    config = LoadBalancingConfig(pool=servers([1, 1]), workload=steady(0.0), dt_s=1.0)
    world = started(config)
    inject(world, 0, 2.5, flow_class=1)
    go(world, 1, [[1.0, 1.0], [0.0, 1.0]])
    assert world.state.servers.n_flows[0].tolist() == [[0, 0], [1, 0]]
    go(world, 2, [[1.0, 1.0], [0.0, 1.0]])
    assert held(world).sum() == 0
    assert count(world, accounts.COMPLETED)[0].tolist() == [0, 1]
    assert world.state.servers.status[0].tolist() == [ON, ON]
