"""Service: whose turn it is, and how long it takes. Flows are put in by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.load_balancing.config import LoadBalancingConfig, PeakEwma
from tests.envs.load_balancing.pools import PROPERTY, held, inject, run, servers, started, steady
from tests.envs.load_balancing.servers.lives import latencies_s, quiet


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
    world = started(LoadBalancingConfig(pool=pool, workload=steady(0.0), dispatch=PeakEwma()))
    inject(world, 0, 1.0)
    inject(world, 0, 1.0)
    run(world, 12)
    assert world.state.dispatcher[world.params.dispatch.rule].ewma_s[0, 0] == pytest.approx(2.0)
    assert world.state.dispatcher[world.params.dispatch.rule].ewma_at_s[0, 0] == pytest.approx(2.0)


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
