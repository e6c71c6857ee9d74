"""A full server takes no part while another has room: no request is rejected that somebody could have held."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.load_balancing.config import DISPATCH_RULES, LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.state import BOOTING
from tests.envs.load_balancing.pools import advance, count, fail, held, run, same_weights, servers, started, steady

N_ENVS = 16
MAX_FLOWS = 6
FOREVER_S = 1e9
every_rule = pytest.mark.parametrize("rule", DISPATCH_RULES)


def config_of(
    rule: str, pool: ServerPool, share: float = 0.5, work_s: float = 1.0, dt_s: float = 1.0
) -> LoadBalancingConfig:
    """Two requests a second, of both classes, with so much work each."""
    workload = steady(0.5, interactive_share=0.5)
    flow = replace(workload.interactive, mean_work_s=work_s)
    workload = replace(workload, rate_hz=2.0, interactive=flow, batch=flow)
    return LoadBalancingConfig(pool=pool, workload=workload, dispatch=DISPATCH_RULES[rule](), dt_s=dt_s)


def patient(n_servers: int, **fields: object) -> ServerPool:
    """Servers with room for six each."""
    return servers([2] * n_servers, max_flows=MAX_FLOWS, **fields)


@every_rule
@pytest.mark.parametrize("service", ["ps", "fcfs"])
def test_all_places_are_taken_before_anybody_is_turned_away(rule: str, service: str) -> None:
    """The first server weighs a hundred times as much as the last, and is full long before it."""
    config = config_of(rule, patient(3, service=service), work_s=FOREVER_S)
    world, weights = started(config, N_ENVS), [100.0, 10.0, 1.0]
    while (held(world) < MAX_FLOWS).any():
        run(world, 1, weights)
        has_room = (held(world) < MAX_FLOWS).any(-1)
        assert (count(world, accounts.REJECTED)[has_room] == 0).all()
        assert (count(world, accounts.ARRIVED).sum(-1) == held(world).sum(-1))[has_room].all()
    run(world, 30, weights)
    rejected = count(world, accounts.ARRIVED).sum(-1) - 3 * MAX_FLOWS
    assert (rejected > MAX_FLOWS).all()
    assert np.array_equal(count(world, accounts.REJECTED).sum(-1), rejected)
    assert (held(world) == MAX_FLOWS).all()


@every_rule
def test_a_class_is_turned_away_where_its_own_servers_are_full(rule: str) -> None:
    """The first two servers are for interactive requests, the third for batch; the fourth is for nobody."""
    world = started(config_of(rule, patient(4), work_s=FOREVER_S), N_ENVS)
    weights = np.broadcast_to([[5.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]], same_weights(world).shape).copy()
    for _ in range(60):
        advance(world, weights)
    arrived, rejected = (count(world, kind) for kind in (accounts.ARRIVED, accounts.REJECTED))
    assert (rejected > 0).all()
    assert np.array_equal(rejected, arrived - [2 * MAX_FLOWS, MAX_FLOWS])
    assert (held(world) == [MAX_FLOWS, MAX_FLOWS, MAX_FLOWS, 0]).all()


@every_rule
def test_one_class_that_fills_a_server_turns_the_other_to_the_next(rule: str) -> None:
    """Interactive requests have the first server alone, batch ones both, and know that it is full."""
    world = started(config_of(rule, patient(2), work_s=FOREVER_S), N_ENVS)
    weights = np.broadcast_to([[1.0, 0.0], [100.0, 1.0]], same_weights(world).shape).copy()
    for _ in range(40):
        advance(world, weights)
    assert (held(world) == MAX_FLOWS).all()
    assert (count(world, accounts.REJECTED)[:, 0] > 0).all()
    n_batch = world.state.servers.n_flows[:, 1].sum(-1)
    assert (n_batch >= MAX_FLOWS).all()
    assert np.array_equal(count(world, accounts.REJECTED)[:, 1], count(world, accounts.ARRIVED)[:, 1] - n_batch)


@every_rule
def test_a_server_that_has_room_again_takes_part_again(rule: str) -> None:
    """In steps so short that hardly two things happen in one: who is turned away found every server full."""
    pool = servers([1, 1], [2.0, 0.5], max_flows=3)
    world = started(config_of(rule, pool, dt_s=0.005), 64)
    n_rejected = 0
    for _ in range(3000):
        counts, full = world.state.counts.sum(1), (held(world) == 3).all(-1)
        run(world, 1, [1.0, 1.0])
        change = world.state.counts.sum(1) - counts
        turned_away = change[:, accounts.REJECTED] > 0
        one_thing = (change[:, accounts.ARRIVED] == 1) & (change[:, accounts.COMPLETED] == 0)
        assert full[turned_away & one_thing].all()
        assert not (full & one_thing & ~turned_away).any()
        n_rejected += int((turned_away & one_thing).sum())
    assert n_rejected > 100
    assert (world.state.answered.sum(0) > 200).all()


@every_rule
def test_servers_that_boot_take_what_would_be_turned_away_and_no_more_than_they_hold(rule: str) -> None:
    config = config_of(rule, patient(3, boot_s=1e6), work_s=FOREVER_S)
    world = run(started(config, N_ENVS), 1, 0.0)
    turned_away = count(world, accounts.REJECTED).sum(-1)
    assert np.array_equal(turned_away, count(world, accounts.ARRIVED).sum(-1))
    run(world, 40, [1.0, 1.0, 0.0])
    assert (world.state.servers.status[:, :2] == BOOTING).all()
    arrived = count(world, accounts.ARRIVED).sum(-1) - turned_away
    assert np.array_equal(count(world, accounts.REJECTED).sum(-1) - turned_away, arrived - 2 * MAX_FLOWS)
    assert (held(world) == [MAX_FLOWS, MAX_FLOWS, 0]).all()


@every_rule
def test_while_a_server_serves_nobody_waits_for_one_that_boots_unless_it_is_full(rule: str) -> None:
    world = started(config_of(rule, patient(2, boot_s=1e6), work_s=FOREVER_S), N_ENVS)
    run(world, 1, [1.0, 0.0])
    for _ in range(30):
        run(world, 1, [1.0, 50.0])
        assert ((held(world)[:, 1] == 0) | (held(world)[:, 0] == MAX_FLOWS)).all()
    assert (held(world) == MAX_FLOWS).all()


@every_rule
def test_a_full_server_that_is_known_to_have_failed_does_not_count_as_room(rule: str) -> None:
    """The only other server is down: requests are rejected, not lost."""
    pool = patient(2, failure_rate_hz=1e-12, repair_s=1e12, detection_s=0.0)
    world = started(config_of(rule, pool, work_s=FOREVER_S), N_ENVS)
    fail(world, 1)
    run(world, 40, [1.0, 1.0])
    assert (held(world) == [MAX_FLOWS, 0]).all()
    assert count(world, accounts.LOST).sum() == 0
    assert np.array_equal(count(world, accounts.REJECTED).sum(-1), count(world, accounts.ARRIVED).sum(-1) - MAX_FLOWS)
