"""A station is the simulator's server: first come, first served, each for its work over the speed, with late timers too."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.testbed.station import Station
from tests.runs.testbed.clock import Clock

JOBS = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 3)), min_size=1, max_size=30)
"""Gaps before jobs, and their work."""


def served(
    clock: Clock, station: Station, gaps_s: Sequence[float], work_s: Sequence[float]
) -> tuple[list[float], list[float]]:
    """When each job ended as far as clients know, and how long it was in service."""
    ended_s, service_s = [np.nan] * len(gaps_s), [np.nan] * len(gaps_s)

    def answer(number: int) -> None:
        def ends(took_s: float) -> None:
            ended_s[number], service_s[number] = clock.now_s, took_s

        assert station.enter(work_s[number], ends)

    arrived_s = np.cumsum(gaps_s)
    for number, at_s in enumerate(arrived_s.tolist()):
        clock.run_until(at_s)
        answer(number)
    clock.run_until()
    return ended_s, service_s


def expected_s(gaps_s: Sequence[float], work_s: Sequence[float], cores: int, speed: float) -> list[float]:
    """Ends of service: a job begins when it has come and the first of the workers is free."""
    free, ends = [0.0] * cores, []
    for at_s, work in zip(np.cumsum(gaps_s).tolist(), work_s, strict=True):
        ends.append(max(at_s, heapq.heappop(free)) + work / speed)
        heapq.heappush(free, ends[-1])
    return ends


@given(JOBS, st.integers(1, 4), st.sampled_from([0.5, 1.0, 3.0]))
def test_jobs_end_when_they_must(jobs: list[tuple[float, float]], cores: int, speed: float) -> None:
    gaps_s, work_s = zip(*jobs, strict=True)
    clock = Clock()
    ended_s, service_s = served(clock, Station(clock.loop, cores, speed, 100), gaps_s, work_s)
    assert ended_s == pytest.approx(expected_s(gaps_s, work_s, cores, speed))
    assert service_s == pytest.approx([work / speed for work in work_s], abs=1e-9)


@given(JOBS, st.floats(0, 0.5))
def test_late_timers_do_not_add_up(jobs: list[tuple[float, float]], late_s: float) -> None:
    gaps_s, work_s = zip(*jobs, strict=True)
    clock = Clock(lambda: late_s)
    ended_s, service_s = served(clock, Station(clock.loop, 1, 1.0, 100), gaps_s, work_s)
    late = np.array(ended_s) - expected_s(gaps_s, work_s, 1, 1.0)
    assert (late >= -1e-9).all()
    assert (late <= late_s + 1e-9).all()
    assert service_s == pytest.approx(list(work_s), abs=1e-9)


@given(st.floats(0.1, 2.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_work_goes_on_at_the_new_speed(speed: float, factor: float, at_share: float) -> None:
    clock = Clock()
    station, took_s = Station(clock.loop, 1, speed, 10), []
    station.enter(1.0, took_s.append)
    changed_s = at_share / speed
    clock.run_until(changed_s)
    station.slow_down(factor)
    clock.run_until(changed_s + 1.0)
    station.slow_down(1.0)
    clock.run_until()
    done = min(1.0, at_share + factor * speed)
    expected = 1 / speed if at_share >= 1 else changed_s + 1.0 + (1.0 - done) / speed
    if factor * speed > 1.0 - at_share:
        expected = changed_s + (1.0 - at_share) / (factor * speed)
    assert took_s == pytest.approx([expected], abs=1e-6)


def test_a_server_of_no_speed_serves_nobody() -> None:
    clock = Clock()
    station, took_s = Station(clock.loop, 1, 0.0, 10), []
    station.enter(1.0, took_s.append)
    clock.run_until()
    assert not took_s
    assert len(station) == 1


def test_what_has_no_room_is_not_taken_in() -> None:
    clock = Clock()
    station = Station(clock.loop, 1, 1.0, 2)
    assert [station.enter(1.0, lambda _: None) for _ in range(3)] == [True, True, False]
    clock.run_until(1.0)
    assert station.enter(1.0, lambda _: None)


def test_jobs_that_are_dropped_are_never_answered() -> None:
    clock = Clock()
    station, took_s = Station(clock.loop, 1, 1.0, 10), []
    for _ in range(3):
        station.enter(1.0, took_s.append)
    clock.run_until(1.5)
    assert station.clear() == 2
    clock.run_until(10.0)
    assert len(took_s) == 1
    assert station.enter(1.0, took_s.append)
    clock.run_until()
    assert took_s == [1.0, 1.0]
