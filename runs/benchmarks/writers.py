"""Experiments that write to a store at once: processes of one that has imported MLflow, so that none waits for that.

Run as a program, it reads what to do from standard input, one line of JSON each, and answers with one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Self

EXPERIMENT = "bench-server"
NAMES = tuple(f"figure/{number}" for number in range(10))
"""Metrics of a step."""
POLL_S = 0.01
LONGEST_S = 600.0
"""Until all have begun their runs."""


class Writers:
    """Starts processes that write at once, whenever it is asked to."""

    def __init__(self) -> None:
        words = [sys.executable, "-m", "runs.benchmarks.writers"]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def write(self, n: int, n_points: int, folder: Path, environment: Mapping[str, str]) -> list[float]:
        """Seconds that each of ``n`` processes took until a store had so many points of it; they began together.

        Raises
        ------
        RuntimeError
            One failed, or the store does not have all.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"n": n, "n_points": n_points, "folder": str(folder), "environment": dict(environment)}
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        elapsed_s: list[float] = json.loads(self._process.stdout.readline() or "[]")
        if len(elapsed_s) != n:
            raise RuntimeError(f"{n} experiments were to write, {len(elapsed_s)} did")
        return elapsed_s


def _write(folder: Path, n_points: int, all_ready: Barrier, elapsed_s: SimpleQueue[float]) -> None:
    from hierarchy.tracking.tracked import Tracker

    tracker = Tracker(folder, EXPERIMENT, {})
    with tracker, tracker.run("benchmark", folder.name) as run:
        until_s = time.monotonic() + LONGEST_S
        while tracker.synced.n_waiting:  # those that make the experiment together try again
            if time.monotonic() > until_s:
                raise RuntimeError(f"the store does not answer ({tracker.synced.failure})")
            time.sleep(POLL_S)
        all_ready.wait(LONGEST_S)
        began_s = time.perf_counter()
        for step in range(n_points // len(NAMES)):
            run.metrics(dict.fromkeys(NAMES, step / 7), step)
    if not tracker.synced.n_waiting:
        elapsed_s.put(time.perf_counter() - began_s)


def _write_together(n: int, n_points: int, folder: Path, environment: Mapping[str, str]) -> list[float]:
    os.environ.update(environment)
    forks = multiprocessing.get_context("fork")
    all_ready, elapsed_s = forks.Barrier(n), forks.SimpleQueue()
    folders = [folder / str(number) for number in range(n)]
    processes = [forks.Process(target=_write, args=(one, n_points, all_ready, elapsed_s)) for one in folders]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    taken = []
    while not elapsed_s.empty():
        taken.append(elapsed_s.get())
    return taken


if __name__ == "__main__":
    from hierarchy.tracking.mlflow_store import open_store

    open_store("http://127.0.0.1")  # which imports MLflow, and asks for nothing
    for line in sys.stdin:
        asked = json.loads(line)
        print(
            json.dumps(_write_together(asked["n"], asked["n_points"], Path(asked["folder"]), asked["environment"])),
            flush=True,
        )
