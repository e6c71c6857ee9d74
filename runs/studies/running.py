"""A study's jobs side by side, and what is left in its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch as th

from envs.core.validation import SettingError
from hierarchy.config import ExperimentConfig
from hierarchy.executors import executor, in_order
from hierarchy.storage.files import digest_of, plain_settings, write_json
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.ledger import Ledger
from runs.studies import study_of
from runs.studies.study import Job, Outcome, StudyOptions

AGENTS = ("lower", "upper", "flat")


def key_of(job: Job) -> str:
    """What a job's result depends on, as a name: variant, settings, and what was trained and found before it."""
    folder = OutputFolder(job.folder)
    files = (*map(folder.agent, AGENTS), folder.rule, folder.found)
    there = {path.name: digest_of(path) for path in files if path.is_file()}
    said = json.dumps([job.variant, str(job.folder), plain_settings(job.config), there], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def run_one(name: str, job: Job, ledger: Ledger) -> Any:
    """A job of a study, unless its result was kept; it is now."""
    key = key_of(job)
    kept = ledger.get(key)
    if kept is not None:
        return kept
    th.set_num_threads(1)
    result = study_of(name).run_job(job)
    ledger.put(key, result)
    return result


def run_study(
    name: str, config: ExperimentConfig, folder: Path, options: StudyOptions, log: Callable[[str], None] = print
) -> Outcome:
    """Run all jobs of a study on the executor of the settings, write its figures and draw its pictures.

    Results of jobs are kept until all are there: a study that was cut short goes on where it was.

    Returns
    -------
    The figures.

    Raises
    ------
    SettingError
        The folder holds nothing to study, or what is to run jobs can't be had.
    """
    study = study_of(name)
    jobs = study.jobs(config, folder, options)
    if not jobs:
        raise SettingError("folder", f"an output folder with agents that study {name} can take", folder)
    side_by_side = executor(config.executor, 1, len(jobs) > 1)
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(folder / f".{name}", getattr(study, "records", ()))
    done: list[Job] = []

    def on_done(number: int) -> None:
        done.append(jobs[number])
        log(f"{name}: {jobs[number].variant}, seed {jobs[number].config.seed} ({len(done)} of {len(jobs)})")

    with side_by_side as workers:
        of_jobs = in_order(workers, run_one, [(name, job, ledger) for job in jobs], on_done)
    by_variant: dict[str, list[Any]] = {}
    for job, result in zip(jobs, of_jobs, strict=True):
        by_variant.setdefault(job.variant, []).append(result)
    results = study.combine(by_variant, config)
    write_json(results, folder / f"{name}.json")
    study.draw(results, folder)
    ledger.clear()
    return results
