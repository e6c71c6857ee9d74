"""Whether upper agents collapse: phase 2 again and again, with other seeds, over the same lower agents.

A try trains candidates under seeds of their own and chooses among them and what they began with. The race for the best fixed
mix, selection seeds and evaluation seeds are those of the experiment, the same in all tries over a lower agent. The agent
that was kept is held against the best fixed mix on evaluation seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.validation import SettingError
from hierarchy.arms.fixed import FIXED_BEST
from hierarchy.arms.running import on_evaluation_seeds
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.statistics import t_interval
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.folder import trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import under
from runs.studies.phase_two import best_candidate
from runs.studies.study import Job, Outcome, StudyOptions, estimate

N_LOWER = 3
"""Lower agents, the first of the study's."""
N_TRIES = 10
"""Upper agents over each."""
TEXT = (
    "Candidates of other seeds over the same lower agents, against the best fixed mix on the same evaluation seeds; "
    "intervals are over tries. Below it: {n_below} of {n}; clearly, by the interval over evaluation seeds: {n_clearly}."
)


def seeds_of(config: ExperimentConfig, number: int) -> list[int]:
    """Seeds of the candidates of a try."""
    of_try = np.random.SeedSequence(config.seed, spawn_key=(number,))
    return [*of_try.generate_state(config.upper.candidates).tolist()]


def outcome_of(tries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All tries over one lower agent; the interval of their mean is over tries."""
    compared = [estimate(np.array(one["difference"])) for one in tries]
    means = np.array([one["mean"] for one in compared])
    return {
        "per_try": means.tolist(),
        "mean": float(means.mean()),
        "ci95": t_interval(means),
        "least": float(means.min()),
        "n_below": int((means < 0.0).sum()),
        "n_clearly": sum(one["ci95"][1] < 0.0 for one in compared),
        "n_trained": sum(one["trained"] for one in tries),
    }


class UpperSeeds:
    """A job is a try over a lower agent; its variant is the number of the try."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        if not config.upper.from_fixed_best:
            raise SettingError("upper.from_fixed_best", "true for this study", False)
        folders = trained_folders(folder)[: options.seeds or N_LOWER]
        configs = [of_seed(config, one) for one in folders]
        return [Job(str(number), *of) for number in range(N_TRIES) for of in zip(configs, folders, strict=True)]

    def run_job(self, job: Job) -> dict[str, Any]:
        config = job.config
        kept = best_candidate(config, job.folder, seeds_of(config, int(job.variant)))
        mix = kept.found[FIXED_BEST.name].mix(envs.describe(config.env).terms)
        fixed = under(config, kept.lower, mix, on_evaluation_seeds(config))
        difference = kept.episodes(config).objective - fixed.objective
        return {"seed": config.seed, "difference": difference.tolist(), "trained": kept.is_trained}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        of_lower: dict[str, list[dict[str, Any]]] = {}
        for tries in results.values():
            for one in tries:
                of_lower.setdefault(str(one["seed"]), []).append(one)
        return {"lower_agents": {seed: outcome_of(tries) for seed, tries in of_lower.items()}}

    def sections(self, results: Outcome) -> list[Section]:
        of_lower = results["lower_agents"]
        n_below, n_clearly = (sum(one[key] for one in of_lower.values()) for key in ("n_below", "n_clearly"))
        n = sum(len(one["per_try"]) for one in of_lower.values())
        rows = [["lower agent", "learned minus fixed_best", "least", "below it", "clearly", "a trained one was kept"]]
        for seed, one in of_lower.items():
            kept = f"{one['n_trained']} of {len(one['per_try'])}"
            rows.append([seed, interval(one), f"{one['least']:.3f}", str(one["n_below"]), str(one["n_clearly"]), kept])
        return [Section("Upper agents of other seeds", TEXT.format(n=n, n_below=n_below, n_clearly=n_clearly), rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = UpperSeeds()
