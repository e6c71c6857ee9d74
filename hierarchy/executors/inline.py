"""One job after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Inline:
    """Runs a job when it is submitted.

    Parameters
    ----------
    threads
        Of torch; those of this process are the caller's to set.
    """

    n_workers = 1

    def __init__(self, threads: int = 1) -> None: ...

    @staticmethod
    def side_by_side() -> bool:
        """They don't run side by side."""
        return False

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        """The job's result, or its error; an interrupt is not kept but raised."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:  # whatever a job may raise is its result
            future.set_exception(error)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
