"""An experiment over several training seeds: each in a folder and a job of its own, then one table of all.

A study's folder holds `seed-0`, `seed-1`, ... each as a single experiment would leave it, and beside them the `results.json`
and the pictures of all. What is there already is used: a study can be stopped, continued, and given more seeds or arms.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.arms import ablation, flat
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.results import Results
from hierarchy.executors import executor, in_order
from hierarchy.experiment import WHOLE, Experiment, complete, resumable
from hierarchy.phases import candidates, tuning
from hierarchy.phases.checks import check_experiment
from hierarchy.phases.compiling import WORK, compile_world
from hierarchy.phases.tuning import recall
from hierarchy.storage.bundle import check_no_bundle
from hierarchy.storage.files import plain_settings, write_json
from hierarchy.storage.folder import NotTrainedError, OutputFolder, seed_folder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.lock import LOCK_NAME, alone_in
from hierarchy.storage.trained import config_of
from hierarchy.tracking.counting import Counted, Together
from hierarchy.tracking.progress import Progress
from hierarchy.tracking.sinks import Work

LEARNED_PARTS = ("env", "lower", "upper")
"""Settings that the agents of a folder depend on; the others may change between runs of a study."""


def check_folder(config: ExperimentConfig, out: Path) -> None:
    """Agents that a folder holds must have been trained with these settings.

    Raises
    ------
    NotTrainedError
        The folder was trained with others; settings that its file lacks are the default's.
    """
    if not OutputFolder(out).config.is_file():
        return
    saved = plain_settings(config_of(out, trusts_factory=True))  # only compared: what it names is not imported
    wanted = plain_settings(recall(config, OutputFolder(out)))
    for part in LEARNED_PARTS:
        for name, value in wanted[part].items():
            other = saved[part].get(name)
            if other != value:
                raise NotTrainedError("out", f"empty or trained with {part}.{name} {value}", f"{out} with {other}")


def run_seed(config: ExperimentConfig, out: Path, preset: str, study_run: str | None) -> Results:
    """One training seed: what the folder lacks is trained, and the arms are compared unless they have been.

    Raises
    ------
    NotTrainedError
        The folder holds agents that were trained with other settings.
    """
    check_folder(config, out)
    counts = Counted(
        OutputFolder(out).progress, {"steps": 1, "lower steps": 1, "meta steps": lower_steps_per_window(config)}
    )
    experiment = Experiment(dataclasses.replace(config, executor="inline"), out, preset, counts, study_run=study_run)
    before = results.of_this_version(out)
    if before is None or before["ablation"] != plain_settings(config.ablation) or experiment.is_cut_short:
        return complete(experiment)
    return before


def n_lower_steps(config: ExperimentConfig) -> int:
    """Lower steps of a training seed from nothing to its comparison, at most."""
    n_steps = tuning.n_lower_steps(config) + config.lower.timesteps + ablation.n_lower_steps(config)
    n_steps += candidates.work_of(config).total * lower_steps_per_window(config)
    return n_steps + (flat.timesteps(config) if config.ablation.flat else 0)


def run_seed_of(study: Path, config: ExperimentConfig, out: Path, preset: str, study_run: str | None) -> Results:
    """One training seed of a study that holds its folder now.

    Raises
    ------
    SettingError
        It is another folder than that on this machine.
    """
    if not (study / LOCK_NAME).is_file():
        raise SettingError("out", f"a folder that all workers see (not {os.uname().nodename})", study)
    return run_seed(config, out, preset, study_run)


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
    folders = [seed_folder(out, seed) for seed in seeds]
    for folder in folders:
        check_folder(config, folder)
    check_experiment(config)
    check_no_bundle(out)
    whole = Experiment(config, out, preset, progress, started_s)
    side_by_side = executor(config.executor, config.threads, n_seeds > 1)
    ledger, asked = Ledger(whole.folder.progress), {"n_seeds": n_seeds, "preset": preset, "config": plain_settings(config)}
    with alone_in(out), resumable(out), whole.opened(ledger.get(WHOLE) == asked) as sinks, side_by_side as workers:
        ledger.put(WHOLE, asked)
        whole.folder.save_config(preset, config)
        jobs = [
            (out, dataclasses.replace(config, seed=seed), folder, preset, sinks.run_key)
            for seed, folder in zip(seeds, folders, strict=True)
        ]
        with sinks.sink.run("compiling", "compiling", work=WORK):
            compile_world(config)  # once, not in every worker
        n_steps = n_lower_steps(config)
        work = Work(f"{n_seeds} training seeds", n_seeds * n_steps, "lower steps")
        with sinks.sink.run("ablation", "seeds", work=work) as sink:
            together = Together([OutputFolder(folder).progress for folder in folders], n_steps, sink)
            of_seeds = in_order(workers, run_seed_of, jobs, together.finish, together.look)
        combined = results.combined(of_seeds)
        combined["timings_s"]["total"] = time.perf_counter() - started_s
        write_json(combined, whole.folder.results)
        whole.publish(combined, folders, sinks.sink)
        ledger.clear()
        return combined
