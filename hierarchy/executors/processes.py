"""Jobs side by side in processes of their own, one per core that this process may use."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self, TypeVar

from envs.core.validation import SettingError
from hierarchy.stopping import STOP_WORKER, STOPPING

T = TypeVar("T")


def n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _begin_worker(threads: int) -> None:
    """Set a worker up: signals are its parent's to handle, and it does not outlive its parent."""
    STOPPING.listen_as_worker()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    import torch as th

    th.set_num_threads(threads)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Processes:
    """A pool of fresh processes, kept for all jobs of a run.

    The first workers start with the first jobs, or with :meth:`warm_up`. Leaving the block after an error or an interrupt
    ends all of them at once, so that nothing goes on behind the caller's back.

    Parameters
    ----------
    threads
        Torch threads of each.
    n_workers
        Processes; one per core when not given.
    """

    def __init__(self, threads: int = 1, n_workers: int | None = None) -> None:
        self.n_workers = n_workers or n_cores()
        self._others = set(multiprocessing.active_children())
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(self.n_workers, context, _begin_worker, (threads,))

    @staticmethod
    def side_by_side() -> bool:
        """Whether there are cores for several."""
        return n_cores() > 1

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``function(*args)`` in a worker; all of it must be picklable.

        Raises
        ------
        SettingError
            Workers can't start, or one was ended from outside.
        """
        try:
            return self._pool.submit(function, *args)
        except BrokenProcessPool:
            raise SettingError("executor", WHEN_BROKEN, "processes") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._pool.shutdown()
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._stop(set(multiprocessing.active_children()) - self._others)
        if issubclass(kind, BrokenProcessPool):
            raise SettingError("executor", WHEN_BROKEN, "processes") from None

    @staticmethod
    def _stop(workers: set[BaseProcess]) -> None:
        """Have workers stop where they can go on from, or after a while wherever they are."""
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid or 0, STOP_WORKER)
        last_s = time.monotonic() + STOPPING_S
        for worker in workers:
            worker.join(max(0.0, last_s - time.monotonic()))
            worker.kill()


STOPPING_S = 5.0
"""That workers are given to stop: rollouts take a fraction of it."""
WHEN_BROKEN = 'inline where processes end early or a script has no `if __name__ == "__main__":`'
