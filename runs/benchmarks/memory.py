"""Peak memory of processes."""

from __future__ import annotations

from pathlib import Path


def peak_mb(process: int | str = "self") -> float:
    """Peak resident memory of a process so far, by its id; 0 when it has ended.

    `getrusage` would also count that of the process it was forked from.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    words = status.partition("VmHWM:")[2].split()
    return int(words[0]) / 1024 if words else 0.0
