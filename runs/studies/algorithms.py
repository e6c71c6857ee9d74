"""How soon lower algorithms learn: each trained from nothing over the rule of a folder, and evaluated while it learns.

An agent is worth the objective under equal weights of the reward terms, on selection seeds while it learns and on evaluation
seeds in the end. All are held against 95 % of the way from where recurrent PPO begins to where it ends, on the same
training seed. What algorithms share, steps, envs, contexts and the head start, is as the folder has it; what is an
algorithm's own is its default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.arms.running import Batch, on_evaluation_seeds
from hierarchy.building.lower import build
from hierarchy.config import ExperimentConfig
from hierarchy.lower.config import LowerConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.lower.sac_gru import SACGRUConfig
from hierarchy.phases import candidate
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.folder import trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import under
from runs.studies.study import Job, Outcome, StudyOptions, estimate, term_names
from runs.studies.targets import SHARE, end_of, stays_above
from runs.studies.training import Evaluations

N_SEEDS = 3
PPO, SAC = "recurrent_ppo", "sac_gru"
OTHERS: dict[str, type[LowerConfig]] = {SAC: SACGRUConfig}
"""Algorithms beside recurrent PPO, whose settings are the folder's."""
N_EVALUATIONS = 40
"""Times that an agent is evaluated while it learns."""
SELECT_SEEDS = 16
TEXT = (
    "Objective under equal weights. The target is {share:.0%} of the way from where recurrent PPO begins to where it ends "
    "on the same training seed; steps and seconds are means over the seeds that stay above it, without evaluations, as many "
    "at a time as there are cores."
)


def learning_by(config: ExperimentConfig, algorithm: str) -> ExperimentConfig:
    """Settings of an agent that learns by another algorithm, with what it shares with the one of the settings."""
    if algorithm == PPO:
        return config
    shared = {one.name: getattr(config.lower, one.name) for one in fields(LowerConfig) if one.name != "algorithm"}
    lower: Any = OTHERS[algorithm](**shared)
    return replace(config, lower=lower)


class Algorithms:
    """A job is an algorithm and a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        if not isinstance(config.lower, RecurrentPPOConfig):
            raise SettingError("lower.algorithm", f"{PPO} for this study", config.lower.algorithm)
        folders = trained_folders(folder)[: options.seeds or N_SEEDS]
        return [Job(name, learning_by(of_seed(config, one), name), one) for name in (PPO, *OTHERS) for one in folders]

    def run_job(self, job: Job) -> dict[str, Any]:
        config, learner = job.config, build(job.config)
        equal = np.full(len(term_names(config)), 1.0 / len(term_names(config)))

        def worth(batch: Batch) -> float:
            return float(under(config, learner.actor, equal, batch).objective.mean())

        watched = Batch(config.env, "select", candidate.seeds_of(config)[:SELECT_SEEDS], config.ablation.select_windows)
        evaluations = Evaluations(lambda: worth(watched), config.lower.timesteps // N_EVALUATIONS)
        evaluations.train(learner, config.lower.timesteps)
        return {
            "seed": config.seed,
            "steps": evaluations.timesteps,
            "seconds": evaluations.seconds,
            "values": evaluations.values,
            "final": worth(on_evaluation_seeds(config)),
        }

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        targets = [target_from(one) for one in results[PPO]]
        final_of_ppo = np.array([one["final"] for one in results[PPO]])
        return {name: of_algorithm(of_seeds, targets, final_of_ppo) for name, of_seeds in results.items()}

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["algorithm", "final objective", "minus PPO's", "seeds above the target", "steps", "seconds", "steps/s"]]
        for name, one in results.items():
            there = f"{one['n_reached']} of {one['n']}"
            steps, seconds = (
                "never" if one[key] is None else f"{one[key]:,.0f}" for key in ("steps_to_target", "seconds_to_target")
            )
            minus = "" if name == PPO else interval(one["minus_ppo"])
            rows.append([name, interval(one["final"]), minus, there, steps, seconds, f"{one['steps_per_s']:,.0f}"])
        return [Section("How soon lower algorithms learn", TEXT.format(share=SHARE), rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def target_from(of_ppo: Mapping[str, Any]) -> float:
    """What all are held against on a training seed; infinite where PPO has gained nothing."""
    values = np.array(of_ppo["values"])
    gain = end_of(values) - float(values[0])
    return float(values[0]) + SHARE * gain if gain > 0.0 else math.inf


def of_algorithm(
    of_seeds: Sequence[Mapping[str, Any]], targets: Sequence[float], final_of_ppo: FloatArray
) -> dict[str, Any]:
    """An algorithm over its training seeds: where it ends, and what it took to stay above the targets."""
    places = [stays_above(np.array(one["values"]), target) for one, target in zip(of_seeds, targets, strict=True)]
    there = [(one, place) for one, place in zip(of_seeds, places, strict=True) if place is not None]
    taken = {
        key: float(np.mean([one[key][place] for one, place in there])) if there else None for key in ("steps", "seconds")
    }
    final = np.array([one["final"] for one in of_seeds])
    return {
        "final": estimate(final),
        "minus_ppo": estimate(final - final_of_ppo),
        "n": len(of_seeds),
        "n_reached": len(there),
        "steps_to_target": taken["steps"],
        "seconds_to_target": taken["seconds"],
        "steps_per_s": float(np.mean([one["steps"][-1] / max(one["seconds"][-1], 1e-9) for one in of_seeds])),
        "per_seed": [dict(one) for one in of_seeds],
    }


STUDY = Algorithms()
