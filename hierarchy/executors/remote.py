"""An object that lives where an executor runs its jobs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierarchy.executors import Executor

_numbers = itertools.count()
_objects: dict[int, Any] = {}
"""Those that live in this process."""


class Remote:
    """Calls methods of an object in the order in which they are asked for; the caller goes on meanwhile.

    Parameters
    ----------
    workers
        Of one worker, so that all calls get to the same process.
    make, arguments
        ``make(*arguments)`` makes the object there; all of it must be picklable.

    Raises
    ------
    ValueError
        There are several workers.
    """

    def __init__(self, workers: Executor, make: Callable[..., object], *arguments: Any) -> None:
        if workers.n_workers != 1:
            raise ValueError(f"workers: expected 1, got {workers.n_workers}")
        self._workers, self._number = workers, next(_numbers)
        self._made = workers.submit(_make, self._number, make, arguments)

    def call(self, method: str, *arguments: Any) -> Future[Any]:
        """Ask for ``method(*arguments)``; the future holds what it gives back, or its error."""
        self._made.result()
        return self._workers.submit(_call, self._number, method, arguments)

    def forget(self) -> None:
        """Let the object go."""
        self._workers.submit(_objects.pop, self._number, None)


def _make(number: int, make: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    _objects[number] = make(*arguments)


def _call(number: int, method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(_objects[number], method)(*arguments)
