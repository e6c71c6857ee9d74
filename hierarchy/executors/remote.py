"""An object that lives where an executor runs its jobs."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierarchy.executors import Executor

_numbers = itertools.count()
_objects: dict[int, Any] = {}
"""Those that live in this process."""
_unused: weakref.WeakKeyDictionary[Executor, deque[int]] = weakref.WeakKeyDictionary()
"""By workers the numbers of objects that nobody can call any more."""


class Remote:
    """Calls methods of an object in the order in which they are asked for; the caller goes on meanwhile.

    The object goes with the last reference to this one, or in another process with the next call there: garbage may be
    collected in the middle of a submission, which holds a lock.

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
        self._unused = _unused.setdefault(workers, deque())
        self._let_go()
        self._made = workers.submit(_make, self._number, make, arguments)
        weakref.finalize(self, _forget, self._number, self._unused).atexit = False

    def call(self, method: str, *arguments: Any) -> Future[Any]:
        """Ask for ``method(*arguments)``; the future holds what it gives back, or its error."""
        self._made.result()
        self._let_go()
        return self._workers.submit(_call, self._number, method, arguments)

    def _let_go(self) -> None:
        """Have the objects go that nobody can call any more."""
        while self._unused:
            self._workers.submit(_drop, self._unused.popleft())


def _drop(number: int) -> None:
    _objects.pop(number, None)


def _forget(number: int, unused: deque[int]) -> None:
    if _objects.pop(number, None) is None:
        unused.append(number)


def _make(number: int, make: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    _objects[number] = make(*arguments)


def _call(number: int, method: str, arguments: tuple[Any, ...]) -> Any:
    return getattr(_objects[number], method)(*arguments)
