"""What runs jobs that need nothing of each other. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from hierarchy.executors.inline import Inline
from hierarchy.executors.on_ray import OnRay
from hierarchy.executors.processes import Processes, n_cores

__all__ = ["EXECUTORS", "Executor", "executor", "in_order", "n_cores", "one_beside"]

T = TypeVar("T")
MEANWHILE_S = 1.0


class Executor(Protocol):
    """Runs jobs until its block is left.

    Parameters
    ----------
    threads
        Torch threads of each worker.
    """

    def __init__(self, threads: int = 1) -> None: ...

    @staticmethod
    def side_by_side() -> bool:
        """Whether jobs would run side by side, if it were made now.

        Raises
        ------
        SettingError
            It can't be had.
        """

    @property
    def n_workers(self) -> int:
        """Jobs that run side by side in the block."""

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``function(*args)``, now or when a worker is free."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


EXECUTORS: dict[str, type[Executor]] = {"inline": Inline, "processes": Processes, "ray": OnRay}
"""Executors by name."""


def executor(name: str, threads: int, side_by_side: bool = True) -> Executor:
    """An executor by name; in this process where nothing would be gained by others: one core, or work that is tiny.

    Raises
    ------
    SettingError
        It can't be had.
    """
    pays = EXECUTORS[name].side_by_side()
    return EXECUTORS[name if side_by_side and pays else "inline"](threads)


def one_beside(others: Executor, threads: int) -> Executor:
    """An executor of one worker near by: a process if ``others``, which have nothing to do now, are several and there is a
    core for it, or else this one.
    """
    return Processes(threads, 1) if others.n_workers > 1 and n_cores() > 1 else Inline(threads)


def in_order(
    workers: Executor,
    function: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    on_done: Callable[[int], object],
    meanwhile: Callable[[], object] = bool,
) -> list[T]:
    """Run ``function(*job)`` for each job side by side; ``on_done`` takes in the number of each as it is ready.

    ``meanwhile`` is called every second while there are any left.

    Raises
    ------
    Exception
        Whatever the first job raised that failed.
    """
    futures = [workers.submit(function, *job) for job in jobs]
    left = set(futures)
    while left:
        done, left = wait(left, MEANWHILE_S, FIRST_COMPLETED)
        meanwhile()
        for future in done:
            future.result()
            on_done(futures.index(future))
    return [future.result() for future in futures]
