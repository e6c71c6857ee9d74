"""The front of what one lower agent can trade: latency, cost and unfairness over a grid of contexts.

Every context of a simplex grid is held for whole evaluation episodes, with the lower agent of every training seed: the
points, which of them nothing beats in all three, the hypervolume that they cover, and the expected utility over contexts.
Figures are physical, not normalised: mean latency in ms, cost in $/h, unfairness as 1 - Jain's index. Rules are points of
the same picture: one without numbers is one point, one with numbers as many as there are contexts, those that an engineer
would try first and others drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import moocore
import numpy as np

import envs
from envs import EnvConfig
from envs.core.arrays import FloatArray
from envs.core.rules import Rule
from envs.core.simplex import simplex_grid
from envs.core.validation import SettingError
from hierarchy.arms.running import Batch
from hierarchy.arms.tuning import study_of
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.phases.tuning import of_seed
from hierarchy.plots.front import plot_front
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import OutputFolder, trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import of_rule, of_rules, under
from runs.studies.study import Job, Outcome, StudyOptions, estimate, term_names

PICTURE = "front.png"
AXES = ("latency_mean_ms", "cost_usd_per_h", "unfairness")
REFERENCE = np.array([10_000.0, 5.0, 1.0])
"""The point that volumes are measured from: ten seconds, five dollars an hour, one server doing everything."""
MEASURED = {"fairness": "unfairness", "latency": "latency_mean_ms", "cost": "cost_usd_per_h"}
"""The axis that measures what a reward term is about."""
CONTEXTS, RULES = "contexts", "rules"
TEXT = "Down and left is better; a dark square is unfair to the servers."
UNIT = (
    "Intervals are over training seeds, each with requests of its own; rules meet those of the first. On a recording they "
    "say nothing about other recordings."
)
GRID_POINTS = 9
KNOBS_SEED = 20_240_102
"""Of the numbers of rules."""
N_SEEDS = 8
"""Evaluation seeds of every context."""


def losses(episodes: Episodes) -> FloatArray:
    """Mean latency, cost and unfairness of each env, ``(n_envs, 3)``."""
    statistics = episodes.statistics
    return np.stack([statistics[AXES[0]], statistics[AXES[1]], 1.0 - statistics["jain"]], axis=-1)


def hypervolume(points: FloatArray) -> float:
    """Share of the box from nothing to the reference that ``points (n, 3)`` cover; 1 would be free, instant and fair."""
    return float(moocore.hypervolume(points / REFERENCE, ref=np.ones(len(AXES))))


def axes_of(terms: Sequence[str]) -> list[int]:
    """The axis of every reward term, in the order of a context.

    Raises
    ------
    SettingError
        A term is on none.
    """
    for term in terms:
        if term not in MEASURED:
            raise SettingError("env", f"a world whose reward terms are among {', '.join(MEASURED)}", ", ".join(terms))
    return [AXES.index(MEASURED[term]) for term in terms]


def points_of(config: ExperimentConfig, folder: Path) -> tuple[FloatArray, float]:
    """Losses under every context of the grid ``(n, 3)``, and the expected utility: the mean of ``-context . loss``."""
    terms = term_names(config)
    grid = simplex_grid(len(terms), GRID_POINTS)
    env_ids = list(range(N_SEEDS)) * len(grid)
    lower = load_lower(OutputFolder(folder), config)
    batch = Batch(config.env, "evaluate", env_ids, config.ablation.select_windows)
    episodes = under(config, lower, np.repeat(grid, N_SEEDS, axis=0), batch)
    points = losses(episodes).reshape(len(grid), N_SEEDS, -1).mean(1)
    utility = -(grid * (points / REFERENCE)[:, axes_of(terms)]).sum(-1).mean()
    return points, float(utility)


def numbers_to_try(rule: Rule, config: EnvConfig, n: int) -> list[dict[str, Any]]:
    """``n`` sets of numbers: those that a search tries first, then others at random."""
    import optuna

    study = study_of(optuna.samplers.RandomSampler(KNOBS_SEED), rule.first(config))
    return [rule.suggest(study.ask(), config) for _ in range(n)]


def rules(config: ExperimentConfig) -> dict[str, list[list[float]]]:
    """Losses ``(n, 3)`` of every rule on the same seeds: one row, or one for each set of numbers."""
    batch = Batch(config.env, "evaluate", range(N_SEEDS), config.ablation.select_windows)
    points = {name: [losses(episodes).mean(0).tolist()] for name, episodes in of_rules(config, batch).items()}
    n = len(simplex_grid(len(term_names(config)), GRID_POINTS))
    for name, rule in envs.rules(config.env).items():
        if rule.has_numbers:
            tried = numbers_to_try(rule, rule.configured(config.env), n)
            of_all = batch._replace(env_ids=list(range(N_SEEDS)) * n)
            episodes = of_rule(config, name, of_all, [numbers for numbers in tried for _ in range(N_SEEDS)])
            points[name] = losses(episodes).reshape(n, N_SEEDS, -1).mean(1).tolist()
    return points


class Front:
    """A job is a training seed, and one more is the rules."""

    captions = (Caption(PICTURE, "The front of one lower agent", TEXT),)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        axes_of(term_names(config))
        folders = trained_folders(folder)[: options.seeds]
        contexts = [Job(CONTEXTS, of_seed(config, one), one) for one in folders]
        return [*contexts, *(Job(RULES, first.config, first.folder) for first in contexts[:1])]

    def run_job(self, job: Job) -> Any:
        return rules(job.config) if job.variant == RULES else points_of(job.config, job.folder)

    def combine(self, results: Mapping[str, Sequence[Any]], config: ExperimentConfig) -> Outcome:
        points = results[CONTEXTS][0][0]
        (of_rules,) = results[RULES]
        volumes = np.array([hypervolume(one) for one, _ in results[CONTEXTS]])
        utilities = np.array([utility for _, utility in results[CONTEXTS]])
        return {
            "axes": list(AXES),
            "reference": REFERENCE.tolist(),
            "contexts": simplex_grid(len(term_names(config)), GRID_POINTS).tolist(),
            "points": points.tolist(),
            "on_front": moocore.is_nondominated(points).tolist(),
            "rules": of_rules,
            "hypervolume": estimate(volumes),
            "hypervolume_of_rules": {name: hypervolume(np.array(one)) for name, one in of_rules.items()},
            "hypervolume_of_all_rules": hypervolume(np.concatenate([np.array(one) for one in of_rules.values()])),
            "expected_utility": estimate(utilities),
        }

    def sections(self, results: Outcome) -> list[Section]:
        rows = [
            ["figure", "value"],
            ["hypervolume, all contexts", interval(results["hypervolume"], digits=4)],
            ["hypervolume, all rules with all their numbers", f"{results['hypervolume_of_all_rules']:.4f}"],
            *([f"hypervolume, {name}", f"{volume:.4f}"] for name, volume in results["hypervolume_of_rules"].items()),
            ["expected utility over contexts", interval(results["expected_utility"], digits=4)],
            ["contexts on the front", f"{sum(results['on_front'])} of {len(results['on_front'])}"],
        ]
        reference = ", ".join(f"{axis} {value:g}" for axis, value in zip(results["axes"], results["reference"], strict=True))
        alike = "A rule with numbers has as many points as there are contexts; all rules together have more."
        text = f"Shares of the box up to the reference point: {reference}. {alike} {UNIT}"
        return [Section("The front", text, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        plot_front(results, folder / PICTURE)


STUDY = Front()
