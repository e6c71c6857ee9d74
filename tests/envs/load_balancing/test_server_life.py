"""Servers one by one: serving, draining, starting, failing, slowing down, and what they cost. Flows are put in by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.load_balancing.config import Dispatch, LoadBalancingConfig, ServerPool
from envs.load_balancing.kernel import accounts
from envs.load_balancing.kernel.servers import BOOTING, FAILED, OFF, ON, schedule
from envs.load_balancing.world import LoadBalancing
from tests.envs.load_balancing.pools import (
    PROPERTY,
    advance,
    count,
    fail,
    figures_of,
    held,
    inject,
    run,
    same_weights,
    servers,
    started,
    steady,
    totals_of,
)

RARELY_HZ = 1e-12


def quiet(pool: ServerPool, dt_s: float = 0.25, n_envs: int = 1) -> LoadBalancing:
    """A world where nothing arrives but what a test puts in."""
    return started(LoadBalancingConfig(pool=pool, workload=steady(0.0, interactive_share=0.5), dt_s=dt_s), n_envs)


def busy(pool: ServerPool, load: float = 0.5, n_envs: int = 8, dt_s: float = 0.25, **fields: object) -> LoadBalancing:
    config = LoadBalancingConfig(pool=pool, workload=steady(load), dt_s=dt_s)
    return started(replace(config, **fields), n_envs)


def latencies_s(world: LoadBalancing) -> list[float]:
    """Summed latencies of the classes of env 0: exact for a class with one flow."""
    return [float(value) for value in world.state.times[0, :, accounts.LATENCY_S]]


def billed_s(world: LoadBalancing, plan: list[list[float]]) -> np.ndarray:
    """Seconds billed per server of env 0, summed over a plan of weights."""
    total = np.zeros(world.config.pool.n_servers)
    for weights in plan:
        advance(world, same_weights(world, weights))
        total += world.state.servers.billed_s[0]
    return total


# Service


@pytest.mark.parametrize(
    ("service", "cores", "expected"),
    [("ps", 1, [2.0, 3.0]), ("fcfs", 1, [1.0, 3.0]), ("ps", 2, [1.0, 2.0]), ("fcfs", 2, [1.0, 2.0])],
)
def test_two_flows_of_one_and_two_seconds_of_work(service: str, cores: int, expected: list[float]) -> None:
    world = quiet(servers([cores], service=service))
    inject(world, 0, 1.0, flow_class=0)
    inject(world, 0, 2.0, flow_class=1)
    run(world, 16)
    assert latencies_s(world) == pytest.approx(expected)


def test_a_core_of_twice_the_speed_takes_half_the_time() -> None:
    world = quiet(servers([1], speed=[2.0]))
    inject(world, 0, 3.0)
    assert latencies_s(run(world, 8))[0] == pytest.approx(1.5)


def test_a_flow_that_joins_halves_the_share_of_the_other() -> None:
    world = quiet(servers([1]))
    inject(world, 0, 1.0, flow_class=0)
    run(world, 2)
    inject(world, 0, 1.0, flow_class=1)
    run(world, 12)
    assert latencies_s(world) == pytest.approx([1.5, 1.5])


def test_fcfs_answers_in_the_order_of_arrival() -> None:
    world = quiet(servers([1], service="fcfs"), dt_s=0.5)
    for work_s in (3.0, 0.5, 2.0, 1.0):
        inject(world, 0, work_s)
    ended = []
    for _ in range(14):
        before = latencies_s(world)[0]
        run(world, 1)
        ended.append(latencies_s(world)[0] - before)
    assert [value for value in ended if value > 0] == pytest.approx([3.0, 3.5, 5.5, 6.5])


def test_duration_counts_from_the_start_of_service_and_completion_time_from_arrival() -> None:
    world = quiet(servers([1], service="fcfs"))
    inject(world, 0, 1.0)
    inject(world, 0, 1.0)
    run(world, 12)
    assert world.measurements.feature("fct_mean")[0, 0] == pytest.approx(1.5)
    assert world.measurements.feature("flow_duration_mean")[0, 0] == pytest.approx(1.0)


def test_the_dispatcher_learns_completion_times() -> None:
    """The second flow waits for the first: 2 s from its arrival, only 1 s of them in service."""
    pool = servers([1], service="fcfs")
    world = started(LoadBalancingConfig(pool=pool, workload=steady(0.0), dispatch=Dispatch("peak_ewma")))
    inject(world, 0, 1.0)
    inject(world, 0, 1.0)
    run(world, 12)
    assert world.state.dispatcher.ewma_s[0, 0] == pytest.approx(2.0)
    assert world.state.dispatcher.ewma_at_s[0, 0] == pytest.approx(2.0)


@settings(PROPERTY, max_examples=40)
@given(st.lists(st.floats(0.01, 5.0), min_size=1, max_size=12), st.integers(1, 4), st.sampled_from(["ps", "fcfs"]))
def test_all_work_is_done_and_no_more(works: list[float], cores: int, service: str) -> None:
    world = quiet(servers([cores], service=service, max_flows=16))
    for work_s in works:
        inject(world, 0, work_s)
    used = 0.0
    for _ in range(260):
        run(world, 1)
        used += world.state.servers.busy_s[0, 0] * cores
    assert held(world)[0, 0] == 0
    assert used == pytest.approx(sum(works))


@settings(PROPERTY, max_examples=40)
@given(st.lists(st.floats(0.01, 5.0), min_size=2, max_size=10, unique=True), st.integers(1, 3))
def test_processor_sharing_follows_its_fluid_description(works: list[float], cores: int) -> None:
    """All flows start together: between two departures every flow in service gets the same share of the cores."""
    world = quiet(servers([cores], max_flows=16), dt_s=60.0)
    for work_s in works:
        inject(world, 0, work_s)
    t, done, expected = 0.0, 0.0, 0.0
    for index, work_s in enumerate(sorted(works)):
        t += (work_s - done) * max(1.0, (len(works) - index) / cores)
        done, expected = work_s, expected + t
    assert latencies_s(run(world, 1))[0] == pytest.approx(expected)


# Draining and starting


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


# Cost


def cost_usd_per_h(world: LoadBalancing) -> float:
    return float(figures_of(world)["cost_usd_per_h"][0])


def test_an_idle_server_costs_the_idle_share_of_its_price() -> None:
    world = run(quiet(servers([2, 2], price=[3.0, 5.0], idle_share=0.4)), 4)
    assert cost_usd_per_h(world) == pytest.approx(0.4 * 8.0)


def test_a_fully_used_server_costs_its_price() -> None:
    world = quiet(servers([2, 2], price=[3.0, 5.0], idle_share=0.4))
    for server in (0, 0, 1, 1):
        inject(world, server, 100.0)
    assert cost_usd_per_h(run(world, 4)) == pytest.approx(8.0)


def test_cost_grows_in_proportion_to_the_cores_used() -> None:
    world = quiet(servers([4], price=[2.0], idle_share=0.25))
    inject(world, 0, 100.0)
    assert cost_usd_per_h(run(world, 4)) == pytest.approx(2.0 * (0.25 + 0.75 / 4))


def test_a_server_that_is_off_or_failed_costs_nothing() -> None:
    world = quiet(servers([1, 1, 1], price=[1.0, 2.0, 4.0], idle_share=1.0, failure_rate_hz=RARELY_HZ, repair_s=1e12))
    fail(world, 1)
    assert cost_usd_per_h(run(world, 4, [0.0, 1.0, 1.0])) == pytest.approx(4.0)


def test_a_booting_server_costs_as_an_idle_one() -> None:
    world = quiet(servers([1, 1], price=[1.0, 2.0], idle_share=0.5, boot_s=100.0))
    run(world, 1, [0.0, 1.0])
    since = totals_of(world)
    run(world, 4, [1.0, 1.0])
    assert figures_of(world, since)["cost_usd_per_h"][0] == pytest.approx(1.5)


# Faults


def faulty(**fields: object) -> ServerPool:
    return servers([2, 2], max_flows=256, **{"failure_rate_hz": RARELY_HZ, "repair_s": 1e12, "detection_s": 2.0, **fields})


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
    world = busy(faulty(), load=0.5, n_envs=64, dispatch=Dispatch("weighted_random"))
    run(world, 8)
    fail(world, 0)
    run(world, 1)
    arrived, lost = count(world, accounts.ARRIVED).sum(), count(world, accounts.LOST).sum()
    for _ in range(7):
        assert not world.state.servers.known_down.any()
        run(world, 1)
    swallowed = (count(world, accounts.LOST).sum() - lost) / (count(world, accounts.ARRIVED).sum() - arrived)
    assert swallowed == pytest.approx(0.5, abs=0.1)
    assert world.state.servers.known_down[:, 0].all()
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
        known.append(world.state.servers.known_down.copy())
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


# Deadlines


def test_a_flow_is_late_once_its_deadline_passes_and_stays_so() -> None:
    world = quiet(servers([1]), dt_s=1.0)
    inject(world, 0, 14.5)
    late = [int(count(run(world, 1), accounts.LATE)[0, 0]) for _ in range(20)]
    assert late == [0] * 10 + [1] * 10
    assert count(world, accounts.COMPLETED)[0, 0] == 1
    assert count(world, accounts.ON_TIME)[0, 0] == 0


def test_an_answer_within_the_deadline_is_on_time() -> None:
    world = quiet(servers([1]), dt_s=1.0)
    inject(world, 0, 9.9)
    run(world, 20)
    assert count(world, accounts.ON_TIME)[0, 0] == 1
    assert count(world, accounts.LATE)[0, 0] == 0


def test_the_oldest_age_is_that_of_the_flow_that_waits_longest() -> None:
    world = quiet(servers([1], service="fcfs"), dt_s=1.0)
    inject(world, 0, 2.5, flow_class=0)
    run(world, 1)
    inject(world, 0, 3.0, flow_class=1)
    oldest = [run(world, 1).state.times[0, :, accounts.OLDEST_S].tolist() for _ in range(5)]
    assert oldest == [[2.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 4.0], [0.0, 0.0]]
