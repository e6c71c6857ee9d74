"""What a bound costs: agents that learn to keep it, that pay a penalty for it set by hand, and that know nothing of it.

All learn in the same world, within the bound of its settings, by the same budget. Multipliers are found as agents learn; a
penalty is one number, so it is chosen among a few, on training seeds of its own. Rules are tuned within the bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError
from hierarchy.arms.jobs import nothing
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import OURS, in_all
from hierarchy.evidence.results import Results
from hierarchy.executors import executor, in_order
from hierarchy.lower.constrained_ppo import ConstrainedPPOConfig
from hierarchy.lower.ppo_config import PPOConfig
from hierarchy.lower.recurrent_ppo import RecurrentPPOConfig
from hierarchy.storage.folder import seed_folder
from hierarchy.study import run_seed
from runs.report.section import Caption, Section, interval
from runs.studies.study import Job, Outcome, StudyOptions, balancing, estimate

N_SEEDS = 10
BOUNDED, UNBOUNDED, PENALTY = "bounded", "unbounded", "penalty"
PENALTIES = (5.0, 10.0, 20.0, 40.0)
"""Rewards for a unit of cost, that a penalty is chosen from: around what multipliers come to in the preset."""
CHOICE_SEEDS = (100, 101)
"""Training seeds that it is chosen on."""
POINT = 0.01
"""By which a share may be above its bound and still count as within a point of it."""
OPEN = {"load": 1.0, "late": 1.0, "lost": 1.0, "spend_usd_per_h": 1e9}
"""Bounds that bind nothing: costs are taken all the same."""
TEXT = (
    "Objective, and the cost that is bounded by {bound:g}, over training seeds, and how many of them are within it and "
    "within {point:g} of it. The penalty is {penalty:g}, chosen among {penalties} on training seeds {seeds}. Rules are "
    "tuned within the bound; only agents without a bound are chosen by the objective alone."
)


Trained = tuple[Path, Results]
"""The study's folder, and a training seed of a variant."""


def constraint_of(config: ExperimentConfig) -> tuple[str, float]:
    """The one thing that is bounded, and its bound.

    Raises
    ------
    SettingError
        Nothing is, or several things are.
    """
    bounds = {one.name: getattr(balancing(config).constraints, one.name) for one in fields(balancing(config).constraints)}
    bounds = {name: bound for name, bound in bounds.items() if name in OPEN and bound is not None}
    if len(bounds) != 1:
        raise SettingError("env.constraints", f"one bound for this study, of {', '.join(OPEN)}", bounds or None)
    return next(iter(bounds.items()))


def variant_of(config: ExperimentConfig, name: str, penalty: float = 0.0) -> ExperimentConfig:
    """Settings of agents that keep the bound, that pay a penalty, or that know nothing of it.

    Raises
    ------
    SettingError
        They learn by an algorithm that keeps no bounds.
    """
    lower, (constraint, _) = config.lower, constraint_of(config)
    if not isinstance(lower, ConstrainedPPOConfig):
        raise SettingError("lower.algorithm", "constrained_ppo for this study", lower.algorithm)
    if name == BOUNDED:
        return config
    config = replace(config, ablation=replace(config.ablation, heuristics=False))
    if name == PENALTY:
        return replace(config, lower=replace(lower, multipliers=replace(lower.multipliers, fixed={constraint: penalty})))
    env = balancing(config)
    unbounded = replace(env, constraints=replace(env.constraints, **{constraint: OPEN[constraint]}))
    of_ppo = {one.name: getattr(lower, one.name) for one in fields(PPOConfig) if one.init and one.name != "algorithm"}
    return replace(config, env=unbounded, lower=RecurrentPPOConfig(**of_ppo))


def trained(job: Job) -> Trained:
    """A training seed, in a folder as a single experiment would leave it."""
    out = seed_folder(job.folder / "bounds" / job.variant.replace(" ", "-"), job.config.seed)
    return job.folder, run_seed(job.config, out, "bounds", None)


def with_penalty(config: ExperimentConfig, folder: Path, penalty: float, seeds: Sequence[int]) -> list[Job]:
    """Jobs of agents that pay it."""
    config = variant_of(config, PENALTY, penalty)
    return [Job(f"{PENALTY} {penalty:g}", replace(config, seed=seed), folder) for seed in seeds]


def figures(of_seeds: Sequence[Results], arm: str, constraint: str) -> tuple[FloatArray, FloatArray]:
    """Objective and cost of an arm by training seed."""
    arms = [one["arms"][arm] for one in of_seeds]
    there = [one for one in arms if one is not None]
    costs = [one["constraints"][constraint]["cost"]["mean"] for one in there]
    return np.array([one["objective"]["mean"] for one in there]), np.array(costs)


def chosen(of_penalties: Mapping[float, tuple[float, float]], bound: float) -> float:
    """The penalty with the highest objective of those within the bound, as rules are chosen, given objective and cost of
    each; if none is, that with the least cost.
    """
    kept = {penalty: worth for penalty, (worth, cost) in of_penalties.items() if cost <= bound}
    if kept:
        return max(kept, key=lambda penalty: kept[penalty])
    return min(of_penalties, key=lambda penalty: of_penalties[penalty][1])


def compared(by_name: Mapping[str, tuple[FloatArray, FloatArray]], bound: float) -> Outcome:
    """Objective and cost of each, how many seeds are within the bound and near it, and what those who learn to keep it gain
    over each.
    """
    ours, _ = by_name[BOUNDED]
    return {
        name: {
            "objective": estimate(objective),
            "cost": estimate(cost),
            "n_within": int((cost <= bound).sum()),
            "n_within_a_point": int((cost <= bound + POINT).sum()),
            "bounded_minus_it": estimate(ours - objective),
        }
        for name, (objective, cost) in by_name.items()
    }


class Bounds:
    """A job is a training seed of a variant; agents that pay the chosen penalty are trained once it is known."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        seeds = [config.seed + i for i in range(options.seeds or N_SEEDS)]
        if set(seeds) & set(CHOICE_SEEDS):
            raise SettingError(
                "seeds", f"seeds without {_listed(CHOICE_SEEDS)}, which a penalty is chosen on", _listed(seeds)
            )
        variants = {name: variant_of(config, name) for name in (BOUNDED, UNBOUNDED)}
        learned = [Job(name, replace(one, seed=seed), folder) for name, one in variants.items() for seed in seeds]
        return learned + [job for one in PENALTIES for job in with_penalty(config, folder, one, CHOICE_SEEDS)]

    def run_job(self, job: Job) -> Trained:
        return trained(job)

    def combine(self, results: Mapping[str, Sequence[Trained]], config: ExperimentConfig) -> Outcome:
        constraint, bound = constraint_of(config)
        of_seeds = {name: [one for _, one in found] for name, found in results.items()}
        choice = {}
        for penalty in PENALTIES:
            objective, cost = figures(of_seeds[f"{PENALTY} {penalty:g}"], OURS, constraint)
            choice[penalty] = float(objective.mean()), float(cost.mean())
        penalty, folder = chosen(choice, bound), results[BOUNDED][0][0]
        seeds = [one["seed"] for one in of_seeds[BOUNDED]]
        jobs = [(job,) for job in with_penalty(config, folder, penalty, seeds)]
        with executor(config.executor, 1, len(jobs) > 1) as workers:
            of_seeds[PENALTY] = [one for _, one in in_order(workers, trained, jobs, nothing)]
        by_name = {name: figures(of_seeds[name], OURS, constraint) for name in (BOUNDED, PENALTY, UNBOUNDED)}
        others = [name for name in in_all([one["arms"] for one in of_seeds[BOUNDED]]) if name != OURS]
        by_name |= {name: figures(of_seeds[BOUNDED], name, constraint) for name in others}
        said = {f"{one:g}": {"objective": worth, "cost": cost} for one, (worth, cost) in choice.items()}
        return {
            "constraint": constraint,
            "bound": bound,
            "penalty": penalty,
            "penalties": said,
            "n_seeds": len(seeds),
            "arms": compared(by_name, bound),
        }

    def sections(self, results: Outcome) -> list[Section]:
        rows = [
            [
                "arm",
                "objective",
                f"{results['constraint']} <= {results['bound']:g}",
                "within",
                "within a point",
                "bounded minus it",
            ]
        ]
        for name, one in results["arms"].items():
            kept = [f"{one[key]} of {results['n_seeds']}" for key in ("n_within", "n_within_a_point")]
            gain = "" if name == BOUNDED else interval(one["bounded_minus_it"])
            rows.append([name, interval(one["objective"]), interval(one["cost"], digits=4), *kept, gain])
        names = ", ".join(results["penalties"])
        said: dict[str, Any] = {"bound": results["bound"], "penalty": results["penalty"], "penalties": names}
        text = TEXT.format(point=POINT, seeds=_listed(CHOICE_SEEDS), **said)
        return [Section("Within a bound", text, rows, BOUNDED)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


STUDY = Bounds()
