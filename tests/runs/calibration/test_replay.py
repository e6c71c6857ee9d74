"""Starts of service follow from arrivals and ends: to the bit where instants are exact, whatever the number of workers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from envs.haproxy.recording import Requests
from envs.load_balancing.kernel.metering import ANSWERED, UNANSWERED
from runs.calibration.replay import Span, of_server, replay, span_of
from tests.runs.calibration.logs import CORES, exact, served

ALL = Span(-np.inf, np.inf)


def of_one(came_s: list[float], ended_s: list[float], outcome: list[int] | None = None) -> Requests:
    came, ended = np.array(came_s), np.array(ended_s)
    zeros = np.zeros(len(came), np.int64)
    return Requests(came, ended, ended - came, zeros, zeros, zeros if outcome is None else np.array(outcome))


@given(st.integers(0, 1_000), st.integers(1, 4), st.floats(20.0, 150.0))
def test_service_is_what_it_was(seed: int, cores: int, rate_hz: float) -> None:
    truth = served(60, rate_hz, seed=seed, cores=(cores, cores, cores))
    assume(all(np.diff(truth.came_s[truth.server == server]).min() > 1.1e-3 for server in range(3)))  # else order is unknown
    found = replay(exact(truth), np.full(3, cores), ALL)
    assert found.n == 60
    assert found.service_s(0.0) == pytest.approx(truth.ended_s - truth.begun_s, abs=1e-9)
    assert np.array_equal(found.waited, truth.begun_s > truth.came_s)


def test_a_worker_serves_one_after_the_other() -> None:
    requests = of_one([0.0, 0.1, 0.2, 5.0], [1.0, 3.0, 3.5, 6.0])
    assert of_server(requests, 0, 1, ALL).service_s(0.0) == pytest.approx([1.0, 2.0, 0.5, 1.0])
    assert of_server(requests, 0, 2, ALL).service_s(0.0) == pytest.approx([1.0, 2.9, 2.5, 1.0])


def test_an_overhead_is_taken_from_those_that_did_not_wait() -> None:
    found = of_server(of_one([0.0, 0.1, 5.0], [1.0, 3.0, 6.0]), 0, 1, ALL)
    assert found.service_s(0.25) == pytest.approx([0.75, 2.0, 0.75])


def test_of_two_that_came_at_once_the_one_that_ended_first_was_first() -> None:
    found = of_server(of_one([0.0, 0.0004], [3.0, 1.0]), 0, 1, ALL)
    assert found.service_s(0.0) == pytest.approx([0.9996, 2.0])


def test_what_is_behind_a_request_without_an_answer_is_left_out() -> None:
    """Its worker may go on with it, though nobody waits for an answer any more."""
    requests = of_one([0.0, 0.1, 0.2, 9.0], [1.0, 3.0, 4.0, 10.0], [UNANSWERED, ANSWERED, ANSWERED, ANSWERED])
    found = of_server(requests, 0, 1, ALL)
    assert found.came_s.tolist() == [0.2, 9.0]
    assert found.service_s(0.0) == pytest.approx([1.0, 1.0])


def test_what_was_refused_before_a_worker_was_free_held_none() -> None:
    requests = of_one([0.0, 0.1, 0.2], [1.0, 0.1, 3.0], [ANSWERED, UNANSWERED, ANSWERED])
    assert of_server(requests, 0, 1, ALL).service_s(0.0) == pytest.approx([1.0, 2.0])


def test_at_either_end_of_a_log_only_what_is_known_counts() -> None:
    truth = served(2_000, 200.0)
    cut = exact(truth)
    later = cut.ended_s > 3.0  # recording began amid the load
    part = Requests._make(values[later] for values in cut)
    span = span_of(part)
    assert span.from_s >= 3.0
    assert span.to_s < part.ended_s.max()
    found = replay(part, np.array(CORES), span)
    assert span.holds(found.came_s).all()
    place = np.searchsorted(truth.came_s, found.came_s)
    close = np.isclose(found.service_s(0.0), (truth.ended_s - truth.begun_s)[place], atol=1e-9)
    assert close.mean() > 0.95  # but for those that came at once
