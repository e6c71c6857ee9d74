"""A load from another process is the load from this one, and nothing of it is left."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator

import numpy as np
import pytest

from runs.testbed.bed import TestBed
from runs.testbed.faults import Fault
from runs.testbed.load import LoadConfig
from runs.testbed.sending import Sender
from tests.envs.haproxy.processes import installed_haproxy
from tests.runs.testbed.beds import assert_laws, evenly, world_of

SPEED = [1.0, 1.0]


@pytest.fixture(scope="module")
def bed() -> Iterator[TestBed]:
    installed_haproxy()
    with TestBed(world_of([2, 2], SPEED)) as bed:
        yield bed


def test_requests_go_out_after_the_instant_that_was_said(bed: TestBed) -> None:
    schedule = evenly(100, 1.0, 0.005)
    with Sender() as sender:
        began_s = time.monotonic()
        sending = bed.begin(sender, schedule, (), began_s + 0.3)
        answers = sending.answers()
        assert sending.is_over
        assert time.monotonic() >= began_s + 0.3 + schedule.last_s
    assert_laws(schedule, answers, SPEED)
    assert answers.is_ok.all()


def test_two_loads_follow_each_other_and_a_fault_happens_meanwhile(bed: TestBed) -> None:
    schedule = evenly(200, 2.0, 0.01)
    with Sender() as sender:
        whole = bed.begin(sender, schedule, (), time.monotonic()).answers()
        slowed = bed.begin(sender, schedule, [Fault(1.0, "slow", 0, 0.1)], time.monotonic()).answers()
    bed.machines.slow_down(0, 1.0)
    early = schedule.time_s < 0.9
    assert whole.is_ok.all()
    assert slowed.is_ok.all()
    assert np.median(slowed.latency_s[~early & (slowed.server == 0)]) > 5 * np.median(slowed.latency_s[early])


def test_a_load_that_is_given_up_ends_with_its_process() -> None:
    before = set(multiprocessing.active_children())
    with Sender() as sender:
        sender.send(evenly(1000, 100.0, 0.0), [1, 1], ["s1"], LoadConfig(), time.monotonic())
    assert set(multiprocessing.active_children()) <= before
