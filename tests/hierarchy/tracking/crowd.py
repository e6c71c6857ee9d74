"""Experiments that write at once, each a process of its own; MLflow is imported once, before they part."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

from tests.hierarchy.tracking.filling import fill


def write(folder: Path, n_steps: int) -> None:
    if fill(folder, n_steps).synced.n_waiting:
        raise SystemExit(1)


if __name__ == "__main__":
    root, n_processes, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    forks = multiprocessing.get_context("fork")
    processes = [forks.Process(target=write, args=(root / str(one), steps)) for one in range(n_processes)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(max(abs(process.exitcode or 0) for process in processes))
