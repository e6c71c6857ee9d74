"""What runs jobs that need nothing of each other. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from hierarchy.executors.inline import Inline
from hierarchy.executors.processes import Processes, n_cores

__all__ = ["EXECUTORS", "Executor", "executor", "n_cores"]

T = TypeVar("T")


class Executor(Protocol):
    """Runs jobs until its block is left."""

    @property
    def n_workers(self) -> int:
        """Jobs that run side by side."""

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``function(*args)``, now or when a worker is free."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


EXECUTORS: dict[str, Callable[[int], Executor]] = {"inline": Inline, "processes": Processes}
"""What makes an executor whose workers use so many torch threads, by name."""


def executor(name: str, threads: int, side_by_side: bool = True) -> Executor:
    """An executor by name; in this process where nothing would be gained by others: one core, or work that is tiny."""
    return EXECUTORS[name if side_by_side and n_cores() > 1 else "inline"](threads)
