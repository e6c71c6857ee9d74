"""A full server takes no part while another has room: nobody is rejected before all that take part are full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig, WorkloadClass
from envs.load_balancing.kernel import accounts
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.dispatch.balancer import MAX_FLOWS, Balancer
from tests.envs.load_balancing.pools import PROPERTY, advance, count, fail, held, servers, started, steady

ENDLESS = WorkloadClass(mean_work_s=1e9, deadline_s=1e9, value_usd=1.0, penalty_usd=1.0)
"""Flows that never end: a server that is full stays so, and one that has room had it all the time."""

every_rule = pytest.mark.parametrize("rule", DISPATCH_RULES)


def filling_up(rule: str, cores: list[int], max_flows: int, backends: Any = "class", n_envs: int = 4) -> LoadBalancing:
    workload = steady(1.0, interactive_share=0.6, interactive=ENDLESS, batch=ENDLESS, rate_hz=10.0)
    pool = servers(cores, max_flows=max_flows, boot_s=1e6, failure_rate_hz=1e-12, repair_s=1e12, detection_s=0.0)
    config = LoadBalancingConfig(pool=pool, workload=workload, dispatch=DISPATCH_RULES[rule](), backends=backends, dt_s=0.1)
    return started(config, n_envs)


@every_rule
@settings(PROPERTY, max_examples=10)
@given(st.data())
def test_no_request_is_rejected_while_a_server_that_takes_part_has_room(rule: str, data: st.DataObject) -> None:
    """Servers may have a weight in one backend, boot, or be known to be down; a booting one takes flows as the last."""
    n, backends = data.draw(st.integers(1, 5)), data.draw(st.sampled_from(["class", "joint"]))
    max_flows = data.draw(st.integers(2, 9))
    world = filling_up(rule, [data.draw(st.integers(1, 2)) for _ in range(n)], max_flows, backends)
    shape = (world.config.n_backends, n)
    weights = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=n, max_size=n * 2)))
    weights = np.tile(np.resize(weights, shape), (world.n_envs, 1, 1))
    down = data.draw(st.integers(0, n)) if n > 1 else n
    if down < n:
        fail(world, down)
    if data.draw(st.booleans()):
        advance(world, np.where(np.arange(n) == 0, 0.0, 1.0) * np.ones_like(weights))  # the first one boots after this
    before = count(world, accounts.REJECTED)
    takes_part = (weights > 0) & (np.arange(n) != down)
    for _ in range(100):
        advance(world, weights)
        full = held(world) == max_flows
        assert (held(world) <= max_flows).all()
        assert count(world, accounts.LOST).sum() == 0
        rejected = (count(world, accounts.REJECTED) - before).reshape(world.n_envs, len(weights[0]), -1).sum(-1) > 0
        assert (full[:, None] | ~takes_part)[rejected].all()
    assert rejected.all()


@every_rule
@PROPERTY
@given(st.lists(st.sampled_from([0, 3, MAX_FLOWS - 1, MAX_FLOWS]), min_size=1, max_size=6), st.integers(0, 2**16))
def test_only_servers_with_room_are_picked(rule: str, flows: list[int], seed: int) -> None:
    weights = np.random.default_rng(seed).choice([0.0, 1.0, 5.0], len(flows))
    balancer = Balancer(rule, weights.tolist(), flows)
    allowed = set(np.flatnonzero((weights > 0) & (np.array(flows) < MAX_FLOWS))) or {-1}
    assert {balancer.pick() for _ in range(5)} <= allowed
