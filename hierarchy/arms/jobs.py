"""Work of the arms on an executor: what others wait for goes first, and steps are counted as jobs finish."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Generic, TypeVar

from hierarchy.executors import Executor

T = TypeVar("T")
Advance = Callable[[int], None]
"""Takes in how many lower steps were just done."""


def nothing(n_steps: int) -> None:
    """No progress is shown."""


class Job(Generic[T]):
    """Something to be done, and its result once it is."""

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...], n_steps: int) -> None:
        self.function, self.args, self.n_steps = function, args, n_steps
        self.done = False
        self._result: list[T] = []

    def finish(self, future: Future[T]) -> None:
        """Take the result over.

        Raises
        ------
        Exception
            Whatever the job raised.
        """
        self._result, self.done, self.args = [future.result()], True, ()

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
    """

    def __init__(self, executor: Executor, advance: Advance = nothing) -> None:
        self.n_workers = executor.n_workers
        self._executor, self._advance = executor, advance
        self._waiting: list[tuple[bool, int, Job[Any]]] = []
        self._running: dict[Future[Any], Job[Any]] = {}
        self._numbers = itertools.count()

    def submit(self, function: Callable[..., T], *args: Any, n_steps: int = 0, urgent: bool = False) -> Job[T]:
        """Run ``function(*args)``, which takes ``n_steps`` lower steps; what is urgent goes before all that is not."""
        job = Job(function, args, n_steps)
        heapq.heappush(self._waiting, (not urgent, next(self._numbers), job))
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
                job.finish(future)
                self._advance(job.n_steps)
            self._start()
        return [job.result for job in jobs]
