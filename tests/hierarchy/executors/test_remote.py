"""An object that lives elsewhere does what it is told, in order, and its errors are the caller's."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from hierarchy.executors import Executor, one_beside
from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes
from hierarchy.executors.remote import Remote, _objects


class Sum:
    def __init__(self, start: float) -> None:
        self.total = 1 / start

    def add(self, value: float) -> float:
        self.total += value
        return self.total

    def process(self) -> int:
        return os.getpid()


@pytest.fixture(params=[Inline, lambda: Processes(n_workers=1)], ids=["here", "process"])
def workers(request: pytest.FixtureRequest) -> Iterator[Executor]:
    make: Callable[[], Executor] = request.param
    with make() as made:
        yield made


def test_calls_get_to_their_own_object_in_order(workers: Executor) -> None:
    first, second = Remote(workers, Sum, 1.0), Remote(workers, Sum, 2.0)
    futures = [remote.call("add", float(n)) for n in range(4) for remote in (first, second)]
    assert [future.result() for future in futures] == [1.0, 0.5, 2.0, 1.5, 4.0, 3.5, 7.0, 6.5]


def test_errors_of_making_and_of_calling_are_raised_here(workers: Executor) -> None:
    with pytest.raises(ZeroDivisionError):
        Remote(workers, Sum, 0.0).call("add", 1.0).result()
    with pytest.raises(TypeError):
        Remote(workers, Sum, 1.0).call("add", "one").result()


def test_an_object_lives_as_long_as_somebody_can_call_it() -> None:
    before = set(_objects)
    remote = Remote(Inline(), Sum, 1.0)
    gc.collect()
    (number,) = set(_objects) - before
    del remote
    assert number not in _objects


def known() -> int:
    """Objects in this process."""
    return len(_objects)


def test_in_another_process_it_goes_with_the_next_call() -> None:
    with Processes(n_workers=1) as workers:
        first, second = Remote(workers, Sum, 1.0), Remote(workers, Sum, 1.0)
        first.call("add", 1.0).result()
        assert workers.submit(known).result() == 2
        del first
        second.call("add", 1.0).result()
        assert workers.submit(known).result() == 1


def test_garbage_that_is_collected_while_a_job_is_handed_over_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool holds a lock then, which its own thread would wait for."""
    with Processes(n_workers=1) as workers:
        old, submit = [Remote(workers, Sum, 1.0)], workers._pool.submit

        def collecting(function: Any, *arguments: Any) -> Future[Any]:
            with workers._pool._shutdown_lock:
                old.clear()
                gc.collect()
            return submit(function, *arguments)

        monkeypatch.setattr(workers._pool, "submit", collecting)
        assert Remote(workers, Sum, 2.0).call("add", 1.0).result() == 1.5


def test_workers_may_be_gone_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: raised.append(error))
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    with Processes(n_workers=1) as workers:
        remote = Remote(workers, Sum, 1.0)
        remote.call("add", 1.0).result()
    del remote
    assert not raised


def test_several_workers_are_refused() -> None:
    with Processes(n_workers=2) as workers, pytest.raises(ValueError, match="workers: expected 1, got 2"):
        Remote(workers, Sum, 1.0)


def test_beside_processes_it_is_another_process_and_otherwise_this_one() -> None:
    for others, apart in ((Processes(n_workers=2), True), (Inline(), False)):
        with others, one_beside(others, 1) as beside:
            assert (Remote(beside, Sum, 1.0).call("process").result() != os.getpid()) is apart
