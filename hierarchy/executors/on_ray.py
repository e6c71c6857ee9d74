"""Jobs side by side on Ray: on the cores of this machine, or on those of all machines of a cluster."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from envs.core.validation import SettingError
from hierarchy.executors import clusters
from hierarchy.executors.attempts import HeldError
from hierarchy.executors.processes import STOPPING_S, n_cores
from hierarchy.stopping import STOPPING

T = TypeVar("T")
N_RETRIES = 3
"""Times that a job is begun again whose worker or node has ended under it."""
HELD_S = 120.0
"""That a job waits for a folder which one before it has not let go of: file servers take up to 90 s to forget a node."""
PREFIXES = ("MLFLOW_", "PG", "AWS_", "NUMBA_")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
WHEN_LOST = f"one whose workers last (a job has lost {N_RETRIES + 1} of them: memory, or a defect)"


class OnRay:
    """Workers of Ray, one per core: of the cluster that `RAY_ADDRESS` names, or of a Ray that is started for the block.

    A job whose worker or node ends is begun again elsewhere; one that raises is not. Jobs are sent the variables that the
    store of experiments is opened with, and run in the folder that this process is in, which all nodes must see. Leaving the
    block after an error or an interrupt has those that are in training come to their next checkpoint, and ends the others.

    Parameters
    ----------
    threads
        Torch threads of each.

    Attributes
    ----------
    n_workers
        Cores of the cluster when the block was entered.
    """

    n_workers = 0

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._jobs: dict[Future[Any], Any] = {}
        self._stack = ExitStack()
        self._task: Any = None

    @staticmethod
    def side_by_side() -> bool:
        """Whether jobs would run side by side.

        Raises
        ------
        SettingError
            Ray is not installed, or the cluster can't be joined or is open to anyone.
        """
        clusters.check()
        return clusters.address() is not None or n_cores() > 1

    def __enter__(self) -> Self:
        clusters.check()
        import ray

        with ExitStack() as stack:
            stack.enter_context(clusters.connected(n_cores()))
            self.n_workers = int(ray.cluster_resources().get("CPU", 0))
            if self.n_workers < 1:
                raise SettingError("executor", "one with cores", "ray, on a cluster without")
            task = _task(carried(), sys.path[:], os.getcwd(), self._threads)
            self._task = ray.remote(num_cpus=1, max_retries=N_RETRIES, retry_exceptions=False)(task)
            self._stack = stack.pop_all()
        return self

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``function(*args)`` in a worker; all of it must be picklable."""
        from ray import cloudpickle

        future: Future[T] = Future()
        job = self._task.options(name=getattr(function, "__name__", "job")).remote(cloudpickle.dumps((function, args)))
        self._jobs[future] = job
        job.future().add_done_callback(lambda done: self._settle(future, done))
        return future

    def _settle(self, future: Future[T], done: Future[bytes]) -> None:
        """Take over what became of a job."""
        from ray import cloudpickle

        error = done.exception()
        try:
            if error is None:
                future.set_result(cloudpickle.loads(done.result()))
            else:
                future.set_exception(_own(error))
        except Exception as broken:  # a result that can't be read is an error of its job
            future.set_exception(broken)
        self._jobs.pop(future, None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._stack:
            is_over = False
            try:
                if kind is None:
                    wait(list(self._jobs))
                    is_over = True
            finally:
                if not is_over:
                    self._stop()

    def _stop(self) -> None:
        """Have jobs stop where they can go on from, or after a while wherever they are."""
        import ray

        left = dict(self._jobs)
        for job in left.values():
            ray.cancel(job, force=False)
        _, others = wait(left, STOPPING_S)
        for future in others:
            ray.cancel(left[future], force=True)


def carried() -> dict[str, str]:
    """Variables that jobs need: how the store of experiments is reached, and how code is compiled."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIXES) or name.lower() in PROXIES}


def _own(error: BaseException) -> BaseException:
    """What a job raised, or in one line that it could not be done."""
    from ray.exceptions import RayTaskError, TaskCancelledError

    if isinstance(error, RayTaskError):
        cause: BaseException = error.cause
        cause.__cause__ = error  # says where in the worker
        return cause
    return error if isinstance(error, TaskCancelledError) else SettingError("executor", WHEN_LOST, "ray")


def _task(variables: dict[str, str], path: list[str], folder: str, threads: int) -> Callable[[bytes], bytes]:
    """What Ray is given: it goes there as it is, for what it sets must be there before anything is imported."""

    def task(job: bytes) -> bytes:
        import os
        import sys

        os.environ.update(variables)
        sys.path.extend(entry for entry in path if entry not in sys.path)
        from hierarchy.executors.on_ray import perform

        return perform(job, folder, threads)

    return task


def perform(job: bytes, folder: str, threads: int) -> bytes:
    """A job in a worker.

    Raises
    ------
    SettingError
        The node does not see the folder.
    Exception
        Whatever the job raises.
    """
    from ray import cloudpickle

    try:
        os.chdir(folder)
    except OSError:
        raise SettingError("executor", f"one all of whose nodes see {folder}", f"ray, with {os.uname().nodename}") from None
    STOPPING.listen_to_interrupts_as_worker()
    import torch as th

    th.set_num_threads(threads)
    function, args = cloudpickle.loads(job)
    last_s = time.monotonic() + HELD_S
    while True:
        try:
            result: bytes = cloudpickle.dumps(function(*args))
        except HeldError:
            if time.monotonic() > last_s:
                raise
            time.sleep(0.5)
        else:
            return result
