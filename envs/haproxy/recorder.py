"""A log as it is heard, kept in a file, one line a request."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

FLUSH_S = 1.0
"""What was heard longer ago is in the file, as far as lines still come or the listener looks."""


class LogRecorder:
    """Appends lines to a file until it is as large as it may be; a disk that is full ends the recording, and nothing else.

    Parameters
    ----------
    path
        The file; what it has stays.
    most_bytes
        Its size at most.

    Attributes
    ----------
    n_taken, n_left_out
        Lines that were written, and those that were not any more.

    Raises
    ------
    OSError
        It can't be written.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab+")
        self._left = most_bytes - self._file.tell()
        self._end_a_cut_line()
        self._flushed_s = time.monotonic()
        self.n_taken = self.n_left_out = 0

    def _end_a_cut_line(self) -> None:
        """What was killed while it wrote may have left one."""
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def take(self, data: bytes) -> None:
        """Append a line."""
        line = data.strip() + b"\n"
        if self._file.closed or len(line) > self._left:
            self._left = 0  # a shorter one is not let in either: what is there has no gaps
            self.n_left_out += 1
            return
        self._left -= len(line)
        try:
            self._file.write(line)
            self.n_taken += 1
            if time.monotonic() - self._flushed_s >= FLUSH_S:
                self._flush()
        except OSError:
            self.n_left_out += 1
            self.close()

    def flush(self) -> None:
        """Have everything in the file."""
        try:
            self._flush()
        except OSError:
            self.close()

    def _flush(self) -> None:
        if not self._file.closed:
            self._file.flush()
        self._flushed_s = time.monotonic()

    def close(self) -> None:
        """Write no more."""
        with suppress(OSError):
            self._file.close()
