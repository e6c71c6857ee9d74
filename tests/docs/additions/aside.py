"""Jobs one after the other, in a thread aside."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Aside:
    """One thread."""

    n_workers = 1

    def __init__(self, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(1)

    @staticmethod
    def side_by_side() -> bool:
        """There is a thread for them."""
        return True

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        return self._pool.submit(function, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown()
