"""Draining, starting and booting servers, and what is billed for it."""

from __future__ import annotations

import numpy as np
import pytest

from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.state import BOOTING, OFF, ON
from tests.envs.load_balancing.pools import advance, count, held, inject, run, same_weights, servers
from tests.envs.load_balancing.servers.lives import billed_s, busy, latencies_s, quiet


def test_a_drained_server_takes_nothing_new_and_finishes_what_it_has() -> None:
    pool = servers([2, 2], max_flows=64, min_billed_s=0.0)
    world = busy(pool, load=0.9, dt_s=0.1)
    run(world, 100)
    before = held(world)[:, 0].copy()
    answered = world.state.answered[:, 0].copy()
    assert before.sum() > 0
    for _ in range(400):
        last = held(world)[:, 0].copy()
        run(world, 1, weights=[0.0, 1.0])
        assert (held(world)[:, 0] <= last).all()
    assert (held(world)[:, 0] == 0).all()
    assert np.array_equal(world.state.answered[:, 0] - answered, before)
    assert count(world, accounts.LOST).sum() == 0
    assert (world.state.servers.status[:, 0] == OFF).all()


def test_a_drained_server_costs_until_it_is_empty_and_nothing_after() -> None:
    world = quiet(servers([1, 1], min_billed_s=0.0), dt_s=0.25)
    inject(world, 0, 0.9)
    paid = [billed_s(world, [[0.0, 1.0]])[0] for _ in range(6)]
    assert paid == pytest.approx([0.25, 0.25, 0.25, 0.15, 0.0, 0.0])


def test_an_idle_server_that_is_drained_stops_at_once() -> None:
    world = quiet(servers([1, 1]))
    assert billed_s(world, [[0.0, 1.0]]) == pytest.approx([0.0, 0.25])
    assert world.state.servers.status[0].tolist() == [OFF, ON]


def test_a_start_takes_the_boot_time_and_is_counted() -> None:
    world = quiet(servers([1, 1], boot_s=0.6))
    run(world, 1, [0.0, 1.0])
    seen = []
    for _ in range(4):
        run(world, 1, [1.0, 1.0])
        seen.append(int(world.state.servers.status[0, 0]))
    assert seen == [BOOTING, BOOTING, ON, ON]
    assert world.state.n_starts[0] == 1


def test_a_server_that_boots_gets_no_flow_while_another_serves() -> None:
    world = busy(servers([4, 4], boot_s=5.0, max_flows=256), load=0.9)
    run(world, 4, [0.0, 1.0])
    for _ in range(20):
        run(world, 1, [1.0, 1.0])
        booting = world.state.servers.status[:, 0] == BOOTING
        assert (held(world)[booting, 0] == 0).all()
    run(world, 20, [1.0, 1.0])
    assert (held(world)[:, 0] > 0).any()


def test_flows_wait_at_a_booting_server_when_there_is_no_other() -> None:
    world = busy(servers([4], boot_s=1.0, max_flows=256), load=0.9)
    run(world, 1, 0.0)
    assert (count(world, accounts.REJECTED) == count(world, accounts.ARRIVED)).all()
    rejected = count(world, accounts.REJECTED).sum()
    run(world, 4, 1.0)
    assert count(world, accounts.COMPLETED).sum() == 0
    assert held(world).sum() > 0
    run(world, 4, 1.0)
    assert count(world, accounts.COMPLETED).sum() > 0
    assert count(world, accounts.REJECTED).sum() == rejected


def test_the_wait_for_a_boot_counts_as_latency_but_not_as_duration() -> None:
    world = quiet(servers([1], boot_s=1.0))
    run(world, 1, 0.0)
    in_force = same_weights(world, 1.0)
    advance(world, in_force)
    inject(world, 0, 0.5)
    run(world, 8)
    assert latencies_s(world)[0] == pytest.approx(0.75 + 0.5)
    assert world.measurements.feature("flow_duration_mean")[0, 0] == pytest.approx(0.5)


def test_a_start_is_billed_at_least_its_least_time() -> None:
    world = quiet(servers([1, 1], boot_s=0.5, min_billed_s=2.0))
    off, on = [0.0, 1.0], [1.0, 1.0]
    assert billed_s(world, [off, on, *[off] * 12])[0] == pytest.approx(2.0)
    assert billed_s(world, [off] * 4)[0] == 0.0


def test_the_least_time_ends_inside_a_step_if_it_has_to() -> None:
    world = quiet(servers([1, 1], boot_s=0.5, min_billed_s=1.1))
    assert billed_s(world, [[0.0, 1.0], [1.0, 1.0], *[[0.0, 1.0]] * 8])[0] == pytest.approx(1.1)


def test_a_server_that_stays_on_is_billed_for_all_its_time_and_once() -> None:
    world = quiet(servers([1, 1], boot_s=0.5, min_billed_s=2.0))
    assert billed_s(world, [[0.0, 1.0]] + [[1.0, 1.0]] * 20)[0] == pytest.approx(5.0)


def test_drained_again_within_the_least_time_a_server_is_not_billed_twice() -> None:
    world = quiet(servers([1, 1], boot_s=0.0, min_billed_s=1.0))
    off, on = [0.0, 1.0], [1.0, 1.0]
    assert billed_s(world, [off, on, off, on, *[off] * 8])[0] == pytest.approx(1.5)
    assert world.state.n_starts[0] == 2


def test_a_server_drained_while_it_boots_never_serves() -> None:
    world = quiet(servers([1, 1], boot_s=1.0, min_billed_s=0.0))
    off, on = [0.0, 1.0], [1.0, 1.0]
    assert billed_s(world, [off, on, off, off])[0] == pytest.approx(0.25)
    run(world, 8, off)
    assert world.state.servers.status[0, 0] == OFF


def test_without_a_boot_time_a_server_serves_at_once() -> None:
    world = quiet(servers([1, 1], boot_s=0.0))
    run(world, 1, [0.0, 1.0])
    run(world, 1, [1.0, 1.0])
    assert world.state.servers.status[0, 0] == ON
