"""Training seeds on Ray: what it costs over plain processes, and how speed grows with workers and with nodes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hierarchy.config import ExperimentConfig, TrackingConfig
from hierarchy.executors import clusters, n_cores, warden
from hierarchy.executors.on_ray import OnRay
from hierarchy.study import run_seed, run_study
from hierarchy.tracking.progress import Silent
from runs.benchmarks.memory import peak_mb
from runs.benchmarks.nodes import nodes_of
from runs.benchmarks.plan import Case, Curve, Plan, Ratio, Target
from runs.settings.experiment import preset_config

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")
PRESET = "quick"
N_SEEDS = 10
N_SEEDS_OF_A_POINT = 4
"""Training seeds of a point of the curve."""
WORKERS = (1, 2)
LEAST = 2
"""Of anything at the smallest scale."""
MOST = 1.05
"""Wall time on Ray, its own start apart, over that on processes."""


def config_of(scale: float) -> ExperimentConfig:
    """The preset, and a share of all that it does below 1."""
    config, share = preset_config(PRESET), min(scale, 1.0)

    def less(settings: S, *names: str) -> S:
        return replace(settings, **{name: max(LEAST, round(share * getattr(settings, name))) for name in names})

    sizes = ("n_seeds", "episode_windows", "n_select_seeds", "select_windows", "n_trials", "n_trial_seeds")
    return replace(
        config,
        lower=less(config.lower, "timesteps"),
        upper=less(config.upper, "meta_steps", "learning_starts", "candidate_seeds"),
        ablation=less(config.ablation, *sizes),
        tracking=TrackingConfig(enabled=False),
    )


def n_seeds_of(n: int, scale: float) -> int:
    """So many training seeds, fewer below a scale of 1, and two at least."""
    return max(2, round(n * min(scale, 1.0)))


def seconds(executor: str, n_seeds: int, scale: float, where: AbstractContextManager[object] | None = None) -> float:
    """Wall time of a study in an empty folder; the block of ``where`` to run it in is entered before and left after."""
    with tempfile.TemporaryDirectory() as folder, where or nullcontext():
        config = replace(config_of(scale), executor=executor)
        started_s = time.perf_counter()
        run_study(config, Path(folder) / "out", PRESET, n_seeds, Silent())
        return time.perf_counter() - started_s


def start_seconds() -> float:
    """Starting a Ray of this process, and ending it."""
    started_s = time.perf_counter()
    with OnRay():
        pass
    return time.perf_counter() - started_s


def seed_mb(config: ExperimentConfig, out: Path) -> float:
    """Peak memory of this process once it has done a training seed."""
    run_seed(config, out, PRESET, None)
    return peak_mb()


def worker_mb(scale: float) -> float:
    """Peak memory of a worker that does one training seed."""
    with tempfile.TemporaryDirectory() as folder, OnRay() as workers:
        return workers.submit(seed_mb, config_of(scale), Path(folder) / "out").result()


def idle_mb() -> float:
    """Peak memory of all processes of a Ray that has nothing to do, pages that they share counted for each."""
    with OnRay() as workers:
        folder = workers.submit(os.getenv, warden.MARK).result()
        assert folder is not None
        return sum(map(peak_mb, warden.marked(folder)))


@contextmanager
def joined(n_nodes: int) -> Iterator[None]:
    """The block is connected to a cluster of nodes of one core."""
    with nodes_of(n_nodes) as nodes, clusters.variables({clusters.ADDRESS: nodes.address}), clusters.connected(n_nodes):
        yield


def seeds_per_h(where: Callable[[int], AbstractContextManager[object]], n_workers: int, scale: float) -> float:
    """Training seeds an hour on so many workers."""
    n_seeds = n_seeds_of(N_SEEDS_OF_A_POINT, scale)
    return 3600.0 * n_seeds / seconds("ray", n_seeds, scale, where(n_workers))


def plan(scale: float) -> Plan:
    """The benchmark; a Ray is started anew for every measurement, and its start is not part of it."""
    n_seeds = n_seeds_of(N_SEEDS, scale)
    on_ray, on_processes = f"{n_seeds} training seeds on Ray", f"{n_seeds} training seeds on processes"
    places = {"workers of one node": clusters.connected, "nodes of one worker": joined}
    lines = {name: {n: partial(seeds_per_h, where, n, scale) for n in WORKERS} for name, where in places.items()}
    return Plan(
        cases=[
            Case(on_processes, "s", lambda: seconds("processes", n_seeds, scale)),
            Case(on_ray, "s", lambda: seconds("ray", n_seeds, scale, clusters.connected(n_cores()))),
            Case("Ray's own start and end", "s", start_seconds),
            Case("memory of Ray by itself", "MB", idle_mb, once=True),
            Case("peak memory of a worker", "MB", partial(worker_mb, scale), once=True),
        ],
        ratios=[Ratio(on_ray, on_processes, Target("at most", MOST))],
        curves=[Curve("seeds_by_workers", "workers", "training seeds an hour", lines)],
    )
