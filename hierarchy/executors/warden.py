"""Ends what is left of a local Ray once whoever started it lets go or is gone, however it went. Run as a script.

Ray's own processes outlive a driver that is killed: two of its agents did so for a minute. They are known by a mark in their
environment, which processes hand to those that they start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "METABALANCE_RAY"
"""Variable that the processes of a local Ray have; its value is the folder of that Ray."""
ENDING_S = 5.0


def marked(folder: str) -> list[int]:
    """Processes of the Ray in a folder that have not ended."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # somebody else's, or over
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def end(folder: str) -> None:
    """End them, those that are started meanwhile too, and remove the folder."""
    last_s = time.monotonic() + ENDING_S
    while (left := marked(folder)) and time.monotonic() < last_s:
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
