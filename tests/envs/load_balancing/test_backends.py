"""Every class of requests has a balancer of its own: weights, counts and choices of one are nothing to the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig, WorkloadClass
from envs.load_balancing.kernel.servers.state import FAILED, OFF
from tests.envs.load_balancing.pools import (
    advance,
    figures_of,
    held,
    inject,
    run,
    same_bits,
    servers,
    started,
    steady,
)

N_STEPS = 100
FOREVER_S = 1e9

every_rule = pytest.mark.parametrize("rule", DISPATCH_RULES)


def troubled(rule: str, interactive_share: float = 0.5, **fields: Any) -> LoadBalancingConfig:
    """Servers that fail, slow down, boot and fill up, and requests that come back."""
    pool = servers(
        [2, 1, 1, 3],
        [1.0, 2.0, 0.5, 1.0],
        max_flows=6,
        failure_rate_hz=0.1,
        repair_s=2.0,
        detection_s=0.5,
        slowdown_rate_hz=0.1,
        slowdown_s=2.0,
    )
    workload = steady(0.9, interactive_share, deadline_s=2.0, retries=0.5, retry_pause_s=1.0)
    return LoadBalancingConfig(pool=pool, workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=0.5, **fields)


def plan_of(n_envs: int, n_backends: int, seed: int = 0) -> np.ndarray:
    """Weights ``(N_STEPS, n_envs, n_backends, 4)``."""
    return np.random.default_rng(seed).choice([0.0, 0.0, 0.5, 1.0, 2.0], (N_STEPS, n_envs, n_backends, 4))


def without_backends(state: Any) -> Any:
    """A state without what has one entry for every backend."""
    return state._replace(dispatcher=(), servers=state.servers._replace(weight=np.zeros(0)))


@every_rule
def test_with_one_class_alone_and_equal_weights_classes_are_served_as_by_one_balancer(rule: str) -> None:
    """What is in flight is then what the class has in flight: the same bits, faults and retries included."""
    joint, by_class = (started(troubled(rule, 1.0, backends=backends), 4) for backends in ("joint", "class"))
    for weights in plan_of(4, 1):
        advance(joint, weights)
        advance(by_class, np.repeat(weights, 2, axis=1))
    a, b = joint.state, by_class.state
    assert np.array_equal(a.servers.weight, b.servers.weight[:, :1])
    assert same_bits(without_backends(a), without_backends(b))
    assert a.counts.sum() > 1000


@every_rule
def test_another_backend_that_nobody_comes_to_changes_nothing(rule: str) -> None:
    """Its weights keep servers on; where they are on anyway, nothing that happens depends on them."""
    left_alone, beside = (started(troubled(rule, 1.0), 4) for _ in range(2))
    for first, second in zip(plan_of(4, 1), plan_of(4, 1, seed=1), strict=True):
        on = np.maximum(first, 0.5)
        advance(left_alone, np.concatenate([on, on], axis=1))
        advance(beside, np.concatenate([on, second], axis=1))
    a, b = left_alone.state, beside.state
    for one, other in ((a.counts, b.counts), (a.answered, b.answered), (a.streams, b.streams)):
        assert np.array_equal(one, other)
    assert np.allclose(a.times, b.times, rtol=1e-9)


@every_rule
def test_a_backend_does_not_count_the_flows_of_another(rule: str) -> None:
    """Flows that never end lie on one server, which has cores for all: who serves the other class stays the same bits."""
    workload = steady(0.02, interactive_share=1.0)
    config = LoadBalancingConfig(
        pool=servers([64, 64, 64], max_flows=256), workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=0.5
    )
    left_alone, beside = started(config, 4), started(config, 4)
    for _ in range(20):
        inject(beside, 1, FOREVER_S, flow_class=1)
    for _ in range(N_STEPS):
        for world in (left_alone, beside):
            run(world, 1, [3.0, 2.0, 1.0])
        assert np.array_equal(left_alone.state.servers.n_flows[:, 0], beside.state.servers.n_flows[:, 0])
        assert (beside.state.servers.n_flows[:, 1] == [0, 20, 0]).all()
    assert np.array_equal(left_alone.state.answered, beside.state.answered)
    assert (left_alone.state.answered > 0).all()


@pytest.mark.parametrize(("backends", "n_first"), [("class", [5, 5]), ("joint", [0, 10])])
def test_the_shortest_expected_delay_is_one_by_the_flows_of_the_own_backend(backends: Any, n_first: list[int]) -> None:
    """Ten flows that never end come to two servers, one of which holds ten of the other class."""
    endless = WorkloadClass(mean_work_s=FOREVER_S, deadline_s=FOREVER_S, value_usd=1.0, penalty_usd=1.0)
    workload = steady(1.0, interactive=endless, batch=endless, rate_hz=0.5)
    config = LoadBalancingConfig(pool=servers([1, 1]), workload=workload, backends=backends, dt_s=0.01)
    world = started(config)
    for _ in range(10):
        inject(world, 0, FOREVER_S, flow_class=1)
    while world.state.servers.n_flows[0, 0].sum() < 10:
        run(world, 1)
    assert world.state.servers.n_flows[0].tolist() == [n_first, [10, 0]]


@every_rule
def test_flows_come_to_servers_of_their_own_backend_alone(rule: str) -> None:
    """A server without a weight in a backend drains of its class while the other class goes on."""
    world, gained = started(troubled(rule), 4), 0
    n_flows, status = world.state.servers.n_flows, world.state.servers.status
    for weights in plan_of(4, 2):
        before = n_flows.copy()
        advance(world, weights)
        more = n_flows > before
        gained += more.sum()
        assert not (more & (weights == 0)).any()
        assert np.array_equal(n_flows.sum(1), held(world))
        wanted = (weights > 0).any(1)
        assert (status[wanted] != OFF).all()
        assert np.isin(status[~wanted & (held(world) == 0)], [OFF, FAILED]).all()
    assert gained > 500


def test_a_server_that_one_class_leaves_goes_on_for_the_other_and_stops_once_both_have_left() -> None:
    world = started(LoadBalancingConfig(pool=servers([2, 2], boot_s=0.0), workload=steady(0.0)), 1)
    states, starts = [], []
    for interactive, batch in [(1, 1), (0, 1), (1, 0), (0, 0), (1, 0), (1, 1), (0, 0), (1, 1)]:
        advance(world, np.array([[[interactive, 1.0], [batch, 1.0]]], np.float64))
        states.append(bool(world.state.servers.status[0, 0] != OFF))
        starts.append(int(world.state.n_starts[0]))
    assert states == [True, True, True, False, True, True, False, True]
    assert starts == [0, 0, 0, 0, 1, 1, 1, 2]


def test_swapping_the_weights_of_backends_swaps_what_classes_that_are_alike_meet() -> None:
    """In distribution: every figure of one class here is one of the other there, and those of the pool are the same."""
    n_envs = 200
    weights = np.array([[2.0, 1.0, 0.0, 0.5], [0.0, 0.5, 1.0, 2.0]])
    config = replace(troubled("sed"), workload=steady(0.5, 0.5, deadline_s=2.0))
    here, there = (figures_of(run(started(config, n_envs, seed), 200, w)) for seed, w in enumerate((weights, weights[::-1])))
    pairs = [(name, name) for name in ("cost_usd_per_h", "utilisation", "jain", "lost_share", "latency_mean_ms")]
    for what in ("latency_mean_ms", "late_share", "lost_share"):
        pairs += [(f"{what}_interactive", f"{what}_batch"), (f"{what}_batch", f"{what}_interactive")]
    for ours, theirs in pairs:
        error = np.sqrt((here[ours].var(ddof=1) + there[theirs].var(ddof=1)) / n_envs)
        assert abs(here[ours].mean() - there[theirs].mean()) < 4 * error, ours
    error = here["latency_mean_ms_interactive"].std() / np.sqrt(n_envs)
    assert abs(here["latency_mean_ms_interactive"].mean() - here["latency_mean_ms_batch"].mean()) > 4 * error
