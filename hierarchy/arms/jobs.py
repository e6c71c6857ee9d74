"""Work of the arms on an executor: what others wait for goes first, steps are counted as jobs finish, results are kept."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Generic, TypeVar

from hierarchy.executors import Executor
from hierarchy.storage.ledger import Ledger

NOTHING_KEPT = Ledger()
T = TypeVar("T")
Advance = Callable[[int], None]
"""Takes in how many lower steps were just done."""


def nothing(n_steps: int) -> None:
    """No progress is shown."""


class Job(Generic[T]):
    """Something to be done, and its result once it is.

    Attributes
    ----------
    name
        Of the job in a ledger: its number, in the order in which jobs are submitted.
    """

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...], n_steps: int, name: str) -> None:
        self.function, self.args, self.n_steps, self.name = function, args, n_steps, name
        self.done = False
        self._result: list[T] = []

    def finish(self, result: T) -> None:
        """Take the result over."""
        self._result, self.done, self.args = [result], True, ()

    @property
    def result(self) -> T:
        """What the function returned."""
        return self._result[0]


class Jobs:
    """Hands jobs to an executor, no more at a time than it has workers.

    Parameters
    ----------
    executor
        Runs them.
    advance
        Takes in lower steps as jobs finish.
    ledger
        Keeps results: who submits the same jobs again in the same order, for as many workers, has them at once.
    """

    def __init__(self, executor: Executor, advance: Advance = nothing, ledger: Ledger = NOTHING_KEPT) -> None:
        self.n_workers = executor.n_workers
        self._executor, self._advance = executor, advance
        self._ledger = ledger.below(f"{self.n_workers}-workers")  # others split batches otherwise
        self._waiting: list[tuple[bool, int, Job[Any]]] = []
        self._running: dict[Future[Any], Job[Any]] = {}
        self._numbers = itertools.count()

    def submit(self, function: Callable[..., T], *args: Any, n_steps: int = 0, urgent: bool = False) -> Job[T]:
        """Run ``function(*args)``, which takes ``n_steps`` lower steps; what is urgent goes before all that is not."""
        number = next(self._numbers)
        job = Job(function, args, n_steps, f"{number}-{function.__name__}")
        kept = self._ledger.get(job.name)
        if kept is not None and kept["n_steps"] == n_steps:
            job.finish(kept["result"])
            self._advance(n_steps)
        else:
            heapq.heappush(self._waiting, (not urgent, number, job))
            self._start()
        return job

    def _start(self) -> None:
        while self._waiting and len(self._running) < self.n_workers:
            _, _, job = heapq.heappop(self._waiting)
            self._running[self._executor.submit(job.function, *job.args)] = job

    def results(self, jobs: Sequence[Job[T]]) -> list[T]:
        """Wait for jobs, while others go on; their results.

        Raises
        ------
        Exception
            Whatever the first job raised that failed, these or others.
        """
        while not all(job.done for job in jobs):
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                job = self._running.pop(future)
                job.finish(future.result())
                self._ledger.put(job.name, {"n_steps": job.n_steps, "result": job.result})
                self._advance(job.n_steps)
            self._start()
        return [job.result for job in jobs]
