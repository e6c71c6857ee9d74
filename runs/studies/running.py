"""A study's jobs side by side, and what is left in its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch as th

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import write_json
from hierarchy.study import side_by_side
from runs.studies import study_of
from runs.studies.study import Found, Job, StudyOptions

Executor = Callable[[Sequence[tuple[Any, ...]], Callable[..., Any]], Iterator[Any]]


def in_process(jobs: Sequence[tuple[Any, ...]], function: Callable[..., Any]) -> Iterator[Any]:
    """One job after the other, here."""
    return (function(*job) for job in jobs)


EXECUTORS: Mapping[str, Executor] = {"processes": side_by_side, "in_process": in_process}
"""What runs jobs."""


def run_one(name: str, number: int, job: Job) -> tuple[int, Any]:
    """A job of a study and its number, for results come as they are ready."""
    th.set_num_threads(1)
    return number, study_of(name).run_job(job)


def run_study(
    name: str,
    config: ExperimentConfig,
    folder: Path,
    options: StudyOptions,
    executor: str = "processes",
    log: Callable[[str], None] = print,
) -> Found:
    """Run all jobs of a study, write its figures and draw its pictures; returns the figures.

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
    done: dict[int, Any] = {}
    for number, result in EXECUTORS[executor]([(name, i, job) for i, job in enumerate(jobs)], run_one):
        done[number] = result
        log(f"{name}: {jobs[number].variant}, seed {jobs[number].config.seed} ({len(done)} of {len(jobs)})")
    by_variant: dict[str, list[Any]] = {}
    for number, job in enumerate(jobs):
        by_variant.setdefault(job.variant, []).append(done[number])
    found = study.combine(by_variant, config)
    write_json(found, folder / f"{name}.json")
    study.draw(found, folder)
    return found
