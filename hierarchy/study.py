"""An experiment over several training seeds: each in a folder and a process of its own, then one table of all.

A study's folder holds `seed-0`, `seed-1`, ... each as a single experiment would leave it, and beside them the `results.json`
and the pictures of all. What is there already is used: a study can be stopped, continued, and given more seeds or arms.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from hierarchy import experiment as experiments
from hierarchy.config import CONFIG_NAME, ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.results import Results
from hierarchy.experiment import Experiment, NotTrainedError
from hierarchy.tracking.progress import Progress, Silent

SEED_FOLDER = "seed-{}"
LEARNED_PARTS = ("env", "lower", "upper")
"""Settings that the agents of a folder depend on; the others may change between runs of a study."""


def seed_folders(out: Path) -> list[Path]:
    """The folders of the training seeds that a study's folder holds, in order; empty for a single experiment."""
    found = [folder for folder in out.glob(SEED_FOLDER.format("*")) if (folder / results.RESULTS_NAME).is_file()]
    return sorted(found, key=lambda folder: int(folder.name.rsplit("-", 1)[1]))


def trained_folders(out: Path) -> list[Path]:
    """The folders of the training seeds of a study, or the folder of a single experiment."""
    return seed_folders(out) or [out]


def seed_of(folder: Path) -> int:
    """The training seed of a folder's agents."""
    saved: int = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))["seed"]
    return saved


def n_processes(n_jobs: int) -> int:
    """Processes for as many jobs: one per core that this process may use."""
    return min(n_jobs, len(os.sched_getaffinity(0)))


def side_by_side(jobs: Sequence[tuple[Any, ...]], function: Any) -> Iterator[Any]:
    """Run ``function(*job)`` for each job in processes of their own; results as they come.

    An error or an interrupt ends all processes, so that nothing goes on behind the caller's back.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes(len(jobs)), mp_context=context) as pool:
        futures: list[Future[Any]] = [pool.submit(function, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def check_folder(config: ExperimentConfig, out: Path) -> None:
    """Agents that a folder holds must have been trained with these settings.

    Raises
    ------
    NotTrainedError
        The folder was trained with others.
    """
    path = out / CONFIG_NAME
    if not path.is_file():
        return
    saved = json.loads(path.read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps(dataclasses.asdict(config)))
    for part in LEARNED_PARTS:
        for name, value in wanted[part].items():
            other = saved.get(part, {}).get(name)
            if other != value:
                raise NotTrainedError(f"out must be empty or trained with {part}.{name} {value}, got {out} with {other}")


def run_seed(config: ExperimentConfig, out: Path, preset: str, study_run: str | None) -> Results:
    """One training seed: what the folder lacks is trained, and the arms are compared unless they have been."""
    found = _finished(config, out)
    if found is not None:
        return found
    experiment = Experiment(config, out, preset, Silent(), study_run=study_run)
    if not (out / experiments.LOWER_NAME).is_file():
        return experiments.train(experiment)
    if not (out / experiments.UPPER_NAME).is_file():
        experiments.train_upper(experiment)
    return experiments.ablate(Experiment(config, out, preset, Silent(), study_run=study_run))


def _finished(config: ExperimentConfig, out: Path) -> Results | None:
    """The results that a folder holds, if they are of these settings."""
    found = results.read(out)
    wanted = json.loads(json.dumps(dataclasses.asdict(config.ablation)))
    return found if found is not None and found.get("ablation") == wanted else None


def run_study(
    config: ExperimentConfig, out: Path, preset: str, n_seeds: int, progress: Progress, started_s: float | None = None
) -> Results:
    """All training seeds from ``config.seed`` on, and one table of them in `results.json`.

    Raises
    ------
    NotTrainedError
        The folder holds agents that were trained with other settings.
    """
    started_s = time.perf_counter() if started_s is None else started_s
    seeds = [config.seed + i for i in range(n_seeds)]
    folders = [out / SEED_FOLDER.format(seed) for seed in seeds]
    for folder in folders:
        check_folder(config, folder)
    whole = Experiment(config, out, preset, progress, started_s)
    with whole.open():
        progress.begin(f"{n_seeds} training seeds", n_seeds, "seeds")
        jobs = [
            (dataclasses.replace(config, seed=seed), folder, preset, whole.run_id)
            for seed, folder in zip(seeds, folders, strict=True)
        ]
        done: dict[int, Results] = {}
        for found in side_by_side(jobs, run_seed):
            done[found["seed"]] = found
            progress.advance(1)
        combined = results.combined([done[seed] for seed in seeds])
        combined["timings_s"]["total"] = time.perf_counter() - started_s
        whole.publish(combined, folders)
        return combined
