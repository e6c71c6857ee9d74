"""Failing, recovering and slowing down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from envs.load_balancing.config import WeightedRandom
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers.clock import schedule
from envs.load_balancing.kernel.servers.state import FAILED, OFF, ON
from tests.envs.load_balancing.pools import advance, count, fail, held, inject, run, same_weights, servers
from tests.envs.load_balancing.servers.lives import RARELY_HZ, billed_s, busy, faulty, latencies_s, quiet


def test_a_failure_loses_the_flows_of_its_server_and_counts_them() -> None:
    world = quiet(faulty())
    for work_s in (5.0, 6.0, 7.0):
        inject(world, 0, work_s)
    inject(world, 1, 1.0)
    fail(world, 0, after_s=0.1)
    run(world, 8)
    assert count(world, accounts.LOST)[0].tolist() == [3, 0]
    assert count(world, accounts.COMPLETED)[0].tolist() == [1, 0]
    assert held(world).sum() == 0


def test_a_failure_loses_the_backlog_of_an_fcfs_server_too() -> None:
    world = quiet(replace(faulty(), service="fcfs"))
    for _ in range(7):
        inject(world, 0, 5.0, flow_class=1)
    fail(world, 0, after_s=0.1)
    assert count(run(world, 1), accounts.LOST)[0].tolist() == [0, 7]


def test_a_late_flow_that_is_lost_counts_once() -> None:
    world = quiet(faulty())
    inject(world, 0, 100.0)
    run(world, 60)
    assert count(world, accounts.LATE)[0, 0] == 1
    fail(world, 0)
    run(world, 1)
    assert count(world, accounts.LATE)[0, 0] == count(world, accounts.LOST)[0, 0] == 1


def test_until_it_is_detected_a_failed_server_swallows_its_share_and_after_that_nothing() -> None:
    world = busy(faulty(), load=0.5, n_envs=64, dispatch=WeightedRandom())
    run(world, 8)
    fail(world, 0)
    run(world, 1)
    arrived, lost = count(world, accounts.ARRIVED).sum(), count(world, accounts.LOST).sum()
    for _ in range(7):
        assert not world.state.servers.known_down.any()
        run(world, 1)
    swallowed = (count(world, accounts.LOST).sum() - lost) / (count(world, accounts.ARRIVED).sum() - arrived)
    assert swallowed == pytest.approx(0.5, abs=0.1)
    assert world.state.servers.known_down[..., 0].all()
    lost = count(world, accounts.LOST).sum()
    run(world, 20)
    assert count(world, accounts.LOST).sum() == lost


@pytest.mark.parametrize("detection_s", [0.0, 0.7, 3.0])
def test_failure_and_recovery_are_known_after_the_same_time(detection_s: float) -> None:
    """Seen every 10 ms, the dispatcher's view is the status of the server, so much later."""
    pool = servers([1, 1], failure_rate_hz=0.02, repair_s=20.0, detection_s=detection_s)
    world = quiet(pool, dt_s=0.01, n_envs=16)
    in_force, down, known = same_weights(world), [], []
    for _ in range(6000):
        advance(world, in_force)
        down.append(world.state.servers.status == FAILED)
        known.append(world.state.servers.known_down[:, 0].copy())
    lag = round(detection_s / 0.01)
    shifted, seen = np.array(down[: len(down) - lag]), np.array(known[lag:])
    assert shifted.any()
    assert (shifted != seen).mean() < 0.001


def test_a_recovered_server_serves_again() -> None:
    world = busy(faulty(repair_s=1e-3, detection_s=0.5), load=0.5, n_envs=16)
    fail(world, 0)
    run(world, 8)
    answered = world.state.answered[:, 0].copy()
    run(world, 40)
    assert (world.state.servers.status == ON).all()
    assert (world.state.answered[:, 0] > answered).all()


def test_a_server_that_fails_is_not_billed_any_longer() -> None:
    """Neither for its least time, nor when it failed while it was off."""
    world = quiet(faulty(min_billed_s=5.0, boot_s=0.0))
    off, on = [0.0, 1.0], [1.0, 1.0]
    started_for_s = billed_s(world, [off, on])[0]
    fail(world, 0, after_s=0.1)
    assert started_for_s + billed_s(world, [on] * 20)[0] == pytest.approx(0.35)
    assert billed_s(world, [off] * 20)[0] == 0.0


def test_a_drained_server_that_fails_is_off_when_it_recovers() -> None:
    world = quiet(faulty(repair_s=1e-3, detection_s=0.1))
    run(world, 1, [0.0, 1.0])
    fail(world, 0)
    run(world, 8, [0.0, 1.0])
    assert world.state.servers.status[0].tolist() == [OFF, ON]
    assert not world.state.servers.known_down.any()


def test_a_failure_ends_a_boot() -> None:
    world = quiet(faulty(boot_s=2.0))
    run(world, 1, [0.0, 1.0])
    run(world, 1, [1.0, 1.0])
    fail(world, 0)
    run(world, 20, [1.0, 1.0])
    assert world.state.servers.status[0].tolist() == [FAILED, ON]


def test_failures_come_at_their_rate_and_last_their_repair_time() -> None:
    pool = servers([1] * 4, failure_rate_hz=0.05, repair_s=5.0)
    world = run(quiet(pool, dt_s=1.0, n_envs=64), 100)
    down = []
    for _ in range(400):
        run(world, 1)
        down.append((world.state.servers.status == FAILED).mean())
    assert np.mean(down) == pytest.approx(5.0 / (5.0 + 20.0), rel=0.05)


def test_a_slow_down_stretches_what_is_left_by_its_factor() -> None:
    world = quiet(servers([1], slowdown_rate_hz=RARELY_HZ, slowdown_s=1e12, slowdown_factor=0.25))
    inject(world, 0, 2.0)
    world.state.servers.slow_s[0, 0] = 1.0
    schedule(world.state.servers, 0, 0)
    run(world, 24)
    assert latencies_s(world)[0] == pytest.approx(1.0 + 1.0 / 0.25)


def test_slow_downs_come_at_their_rate_and_pass() -> None:
    pool = servers([1] * 4, slowdown_rate_hz=0.05, slowdown_s=5.0, slowdown_factor=0.4)
    world = run(quiet(pool, dt_s=1.0, n_envs=64), 100)
    slow = []
    for _ in range(400):
        run(world, 1)
        assert np.isin(world.state.servers.slow, [1.0, 0.4]).all()
        slow.append((world.state.servers.slow < 1).mean())
    assert np.mean(slow) == pytest.approx(5.0 / (5.0 + 20.0), rel=0.05)


def test_a_server_of_speed_zero_never_answers() -> None:
    world = busy(servers([2, 2], speed=[1.0, 0.0], max_flows=64), load=0.5)
    run(world, 200)
    assert (world.state.answered[:, 1] == 0).all()
    assert (held(world)[:, 1] > 0).all()
