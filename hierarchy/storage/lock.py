"""One experiment at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hierarchy.executors.attempts import HeldError

LOCK_NAME = ".lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other experiments out of a folder, which is made if need be. The system lets go when a process ends, however.

    Raises
    ------
    HeldError
        Another one is in there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(folder / LOCK_NAME)
    try:
        yield
    finally:
        (folder / LOCK_NAME).unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path) -> int:
    """An open file that nobody else has locked, which holds the number of this process."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise HeldError(
                "out", "a folder that no other experiment writes to", f"{path.parent} (process {holder})"
            ) from None
        if _is_at(path, descriptor):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)  # who had it before removed it in between


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
