"""What is to be gained: a planner with foresight against the best tuned rule and the best fixed mix.

Every training seed brings the numbers that were found for its rules, its lower agent and its best fixed mix. All meet the
same requests: episodes on evaluation seeds. The planner (:mod:`runs.studies.rollouts`) is told the regime and plans over
resampled futures, with the best of the rules that act in the world as it is configured as its base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import envs
from envs.core.rules import Controller
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from hierarchy.arms import ablation
from hierarchy.arms.found import Chosen
from hierarchy.arms.running import Batch
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import BASE, BEST_RULE, Facts, arm_result, combined_arm, compared
from hierarchy.evidence.tables import rows_of
from hierarchy.storage.agents import load_lower
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import OutputFolder, trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import controlled, of_rule, under
from runs.studies.rollouts import Horizon, Planner
from runs.studies.study import Job, Outcome, StudyOptions, balancing

N_EPISODES = 4
"""Evaluation seeds of every training seed: planning takes a minute each."""
N_WINDOWS = 60
"""Windows of an episode."""
PLANNING_SEED = 7
PLANNER = "planner"
ENOUGH = {BEST_RULE: 10.0, BASE: 15.0}
"""Percent of a rival's objective that must be there to be gained, for a world to have room."""


def found_in(config: ExperimentConfig, folder: OutputFolder) -> Mapping[str, Any]:
    """What was found on selection seeds, by name, the numbers of some rules among it."""
    found = ablation.from_json(config, read_json(folder.found))
    if not numbers_of_rules(config.env, found):
        raise SettingError("folder", "one whose rules have numbers (made by ablate with heuristics)", folder.path)
    return found


def numbers_of_rules(env: envs.EnvConfig, found: Mapping[str, Any]) -> dict[str, Chosen]:
    """What was found for rules, by name."""
    return {name: found[name] for name in envs.rules(env) if isinstance(found.get(name), Chosen)}


def of_planner(config: ExperimentConfig, name: str, batch: Batch, numbers: Mapping[str, Any], horizon: Horizon) -> Episodes:
    """A planner over a rule of the world, which the rule has as it is."""
    world = balancing(config)
    rule = envs.rules(world)[name]

    def base(n_envs: int) -> Controller:
        return rule.start(world, n_envs, [numbers])

    def start(simulation: Simulation) -> Planner:
        return Planner(world, simulation, base(simulation.n_envs), base, horizon, PLANNING_SEED)

    return controlled(config, batch, start)


class Headroom:
    """A job is a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        balancing(config)
        folders = trained_folders(folder)[: options.seeds]
        return [Job(PLANNER, replace(config, seed=OutputFolder(one).seed), one) for one in folders]

    def run_job(self, job: Job) -> dict[str, Any]:
        config, folder, world = job.config, OutputFolder(job.folder), balancing(job.config)
        spec, found = envs.describe(world), found_in(config, folder)
        rules = numbers_of_rules(world, found)
        ranked = sorted(rules, key=lambda name: -rules[name].mean)
        base = next(name for name in ranked if envs.rules(world)[name].configured(world) == world)
        batch = Batch(world, "evaluate", range(N_EPISODES), N_WINDOWS)
        arms = {
            PLANNER: of_planner(config, base, batch, rules[base].numbers, Horizon()),
            BASE: under(config, load_lower(folder, config), found[BASE].mix(spec.terms), batch),
            **{name: of_rule(config, name, batch, [rules[name].numbers]) for name in ranked},
        }
        facts = {PLANNER: Facts("oracle", knows="the regime now, what is left to do"), BASE: Facts("mix")}
        results = {name: arm_result(arm, facts.get(name, Facts("rule")), spec) for name, arm in arms.items()}
        return {"arms": {**results, BEST_RULE: results[ranked[0]]}, BEST_RULE: ranked[0], "base": base}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        of_seeds = list(results[PLANNER])
        arms = [one["arms"] for one in of_seeds]
        return {
            "arms": {name: combined_arm(arms, name) for name in arms[0]},
            "comparisons": {rival: compared(arms, PLANNER, rival) for rival in ENOUGH},
            "best_rules": [one[BEST_RULE] for one in of_seeds],
            "bases": [one["base"] for one in of_seeds],
        }

    def sections(self, results: Outcome) -> list[Section]:
        chosen = ", ".join(sorted(set(results["best_rules"])))
        bases = ", ".join(sorted(set(results["bases"])))
        text = (
            f"A planner over {bases} against the rule that was best on selection seeds ({chosen}) and the best fixed mix. "
            f"{N_EPISODES} episodes a training seed. "
        )
        for rival, one in results["comparisons"].items():
            share, difference = one["percent"], interval(one, "difference")
            text += f"{PLANNER} - {rival}: {difference}, {share:+.1f} % of its objective; {ENOUGH[rival]:g} % is asked for. "
        return [Section("What is to be gained", text.rstrip(), rows_of(list(results["arms"].items())), PLANNER)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Headroom()
"""`metabalance study`."""
