"""Jobs are done wherever they run; errors come out, and nothing goes on behind the caller's back."""

from __future__ import annotations

import math
import multiprocessing
import os
import time

import pytest
import torch as th

from envs.core.validation import SettingError
from hierarchy.executors import EXECUTORS, executor, in_order
from hierarchy.executors.processes import Processes


def pid() -> int:
    """Of the process that does the job."""
    return os.getpid()


def interrupt() -> None:
    """Raise what a signal would."""
    raise KeyboardInterrupt


def end() -> None:
    """End the process without a word."""
    os._exit(3)


SLOW = ("ray",)
"""Executors that take their time to start."""


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in sorted(EXECUTORS)]
)
def running(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    with EXECUTORS[request.param](1) as one:
        yield one


def test_all_jobs_are_done(running: Processes) -> None:
    assert [running.submit(math.isqrt, n * n).result() for n in range(5)] == [0, 1, 2, 3, 4]


def test_an_error_is_the_result_of_its_job_alone(running: Processes) -> None:
    failing, other = running.submit(math.isqrt, -1), running.submit(math.isqrt, 9)
    with pytest.raises(ValueError, match="nonnegative"):
        failing.result()
    assert other.result() == 3


def test_workers_are_processes_of_their_own_with_the_threads_they_are_given() -> None:
    with Processes(threads=2, n_workers=1) as pool:
        assert pool.submit(pid).result() != os.getpid()
        assert pool.submit(th.get_num_threads).result() == 2


def busy(pool: Processes) -> None:
    """Begin something that takes a minute, and interrupt."""
    pool.submit(pid).result()
    pool.submit(time.sleep, 60)
    interrupt()


def test_an_interrupt_ends_the_workers_of_the_pool_and_no_others() -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt), Processes(n_workers=1) as pool:
        busy(pool)
    deadline = time.monotonic() + 10
    while set(multiprocessing.active_children()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(multiprocessing.active_children()) == before


def test_a_worker_that_ends_is_an_error_in_one_line() -> None:
    with (
        pytest.raises(SettingError, match=r"^executor must be inline where .+, got processes$"),
        Processes(n_workers=1) as pool,
    ):
        pool.submit(end).result()


def test_an_interrupt_in_this_process_is_not_kept_for_later() -> None:
    with pytest.raises(KeyboardInterrupt):
        executor("inline", 1).submit(interrupt)


def test_what_is_tiny_runs_in_this_process() -> None:
    assert executor("processes", 1, side_by_side=False).submit(pid).result() == os.getpid()


def test_results_are_in_the_order_of_their_jobs_and_each_is_told_of(running: Processes) -> None:
    done: list[int] = []
    assert in_order(running, math.isqrt, [(n * n,) for n in range(6)], done.append) == [0, 1, 2, 3, 4, 5]
    assert sorted(done) == list(range(6))
