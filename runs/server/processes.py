"""Processes that end in time, and with the one that has started them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PAUSE_S = 0.1
"""Between two looks at a process."""
LONGEST_LOG = 10_000_000
"""Bytes after which a log is put aside when its process starts."""


class ServerError(Exception):
    """Something that has been started does not do what it should; the message is one line."""


def start(
    words: Sequence[str | Path], environment: Mapping[str, str], folder: Path, log: Path, at_end: signal.Signals
) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own, so that an interrupt of the terminal does not reach it.

    Parameters
    ----------
    words
        Anybody on the machine may read them: no secrets.
    log
        What it says is added there.
    at_end
        What it is sent when this process is gone, even one that was killed.
    """
    libc = ctypes.CDLL(None)
    with _continued(log).open("ab") as said:
        return subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, int(at_end)),
        )


def _continued(log: Path) -> Path:
    """A log that is not long yet."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_file() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
    return log


def end_group(process: subprocess.Popen[bytes], *signals: signal.Signals, patience_s: float = 15.0) -> None:
    """End a process and its group: by one signal after the other while something of it is left, at last by a kill."""
    for number in (*signals, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if process.poll() is not None and not _has_members(process.pid):
                return
            time.sleep(PAUSE_S)


def _has_members(group: int) -> bool:
    """Whether something of a group runs; what has ended counts as gone, even where nobody has asked how it ended."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False
