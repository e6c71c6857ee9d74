"""A study's jobs side by side, and what is left in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch as th

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.executors import executor, in_order
from hierarchy.storage.files import write_json
from runs.studies import study_of
from runs.studies.study import Job, Outcome, StudyOptions


def run_one(name: str, job: Job) -> Any:
    """A job of a study."""
    th.set_num_threads(1)
    return study_of(name).run_job(job)


def run_study(
    name: str, config: ExperimentConfig, folder: Path, options: StudyOptions, log: Callable[[str], None] = print
) -> Outcome:
    """Run all jobs of a study on the executor of the settings, write its figures and draw its pictures.

    Returns
    -------
    The figures.

    Raises
    ------
    SettingError
        The folder holds nothing to study.
    """
    study = study_of(name)
    jobs = study.jobs(config, folder, options)
    if not jobs:
        raise SettingError("folder", f"an output folder with agents that study {name} can take", folder)
    folder.mkdir(parents=True, exist_ok=True)
    done: list[Job] = []

    def on_done(number: int) -> None:
        done.append(jobs[number])
        log(f"{name}: {jobs[number].variant}, seed {jobs[number].config.seed} ({len(done)} of {len(jobs)})")

    with executor(config.executor, 1, len(jobs) > 1) as workers:
        of_jobs = in_order(workers, run_one, [(name, job) for job in jobs], on_done)
    by_variant: dict[str, list[Any]] = {}
    for job, result in zip(jobs, of_jobs, strict=True):
        by_variant.setdefault(job.variant, []).append(result)
    results = study.combine(by_variant, config)
    write_json(results, folder / f"{name}.json")
    study.draw(results, folder)
    return results
