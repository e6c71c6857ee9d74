"""What it is worth to remember windows: upper agents that observe the last one alone, that have the last ones side by side,
and that have a belief about hidden regimes, over the same lower agents.

Each is trained as the settings of its folder say, with the same seeds of its candidates, and is held against the best fixed
mix on the same evaluation seeds. No agent is told a timetable by this; what a guided rule is told is told to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.arms.fixed import FIXED_BEST, find_best
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.running import on_evaluation_seeds
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.building import candidates as building
from hierarchy.config import ExperimentConfig
from hierarchy.executors.inline import Inline
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import OutputFolder, trained_folders
from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.none import NoMemory
from hierarchy.upper.memory.stacked import StackedConfig
from hierarchy.window_memories import MemoryConfig
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import under
from runs.studies.phase_two import best_candidate
from runs.studies.study import Job, Outcome, StudyOptions, estimate

N_SEEDS = 10
"""Training seeds, as far as there are."""
PLAIN = "plain"
VARIANTS: Mapping[str, type[MemoryConfig]] = {PLAIN: NoMemory, "stacked": StackedConfig, "belief": BeliefConfig}
"""What is remembered; one that the settings of the folder have is as they say, the others as by default."""
FIXED = "fixed_best"
TEXT = (
    "Objective on evaluation seeds, the mean over training seeds with its interval, and what each is above an agent that "
    "remembers nothing and above the best fixed mix of the same training seed. All are over the same lower agents."
)


def memory_of(config: ExperimentConfig, variant: str) -> MemoryConfig:
    """What an agent of a variant remembers."""
    kind, given = VARIANTS[variant], config.upper.memory
    return given if isinstance(given, kind) else kind()


def variant_of(config: ExperimentConfig, variant: str) -> ExperimentConfig:
    """Settings that differ in what is remembered alone."""
    return replace(config, upper=replace(config.upper, memory=memory_of(config, variant)))


def estimates(objectives: Mapping[str, FloatArray]) -> dict[str, dict[str, Any]]:
    """Of every variant, given objectives by training seed ``(n_seeds,)``; differences are paired by training seed."""
    found: dict[str, dict[str, Any]] = {}
    for name, values in objectives.items():
        others = {other: estimate(values - objectives[other]) for other in (PLAIN, FIXED) if other != name}
        found[name] = {"objective": estimate(values), "minus": others}
    return found


class Belief:
    """A job is a variant over the lower agent of a training seed, or the best fixed mix over it."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        if config.upper.meta_step == "episode":
            raise SettingError("upper.meta_step", "window for this study", config.upper.meta_step)
        folders = trained_folders(folder)[: options.seeds or N_SEEDS]
        of_seeds = [(of_seed(config, one), one) for one in folders if OutputFolder(one).agent("lower").is_file()]
        return [Job(variant, *of) for variant in (*VARIANTS, FIXED) for of in of_seeds]

    def run_job(self, job: Job) -> dict[str, Any]:
        objective, trained = (self._fixed if job.variant == FIXED else self._kept)(job)
        return {"seed": job.config.seed, "objective": objective, "trained": trained}

    def _kept(self, job: Job) -> tuple[FloatArray, bool]:
        """Of the candidate that is kept, by evaluation seed, and whether it has learned or stays as it began."""
        config = variant_of(job.config, job.variant)
        kept = best_candidate(config, job.folder, building.seeds(config))
        return kept.episodes(config).objective, kept.is_trained

    def _fixed(self, job: Job) -> tuple[FloatArray, bool]:
        """Of the mix that is best on selection seeds, by evaluation seed."""
        config, lower = job.config, load_lower(OutputFolder(job.folder), job.config)
        spec = envs.describe(config.env)
        found = find_best(Selection(config, spec, Agents(lower), Jobs(Inline())))
        mix = found[FIXED_BEST.name].mix(spec.terms)
        return under(config, lower, mix, on_evaluation_seeds(config)).objective, False

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        objectives = {name: np.array([one["objective"].mean() for one in of_seeds]) for name, of_seeds in results.items()}
        arms = estimates(objectives)
        for name, one in arms.items():
            one["n_trained"] = sum(of_seed["trained"] for of_seed in results[name])
        seeds = [one["seed"] for one in next(iter(results.values()))]
        return {"unit": envs.describe(config.env).objective_unit, "seeds": seeds, "arms": arms}

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["arm", f"objective ({results['unit']})", f"minus {PLAIN}", f"minus {FIXED}", "a trained one was kept"]]
        for name, one in results["arms"].items():
            others = [interval(one["minus"][other]) if other in one["minus"] else "" for other in (PLAIN, FIXED)]
            kept = "" if name == FIXED else f"{one['n_trained']} of {len(results['seeds'])}"
            rows.append([name, interval(one["objective"]), *others, kept])
        return [Section("Windows remembered", TEXT, rows, "belief")]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Belief()
