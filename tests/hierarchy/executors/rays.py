"""What tests ask of nodes of Ray and of their processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runs.benchmarks.nodes import nodes_of


def raylet(node: Any) -> int:
    """The process of a node that its workers are children of."""
    (info,) = node.all_processes["raylet"]
    return int(info.process.pid)


def parent(process: int) -> int:
    """0 where there is no such process."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def until(is_so: Callable[[], Any], last_s: float = 300.0) -> Any:
    """Wait for something that is true."""
    started_s = time.monotonic()
    while not (found := is_so()):
        assert time.monotonic() - started_s < last_s, "waited in vain"
        time.sleep(0.02)
    return found


if __name__ == "__main__":
    with nodes_of(1, sys.argv[1]) as alone:
        print(alone.address, flush=True)
        sys.stdin.read()
