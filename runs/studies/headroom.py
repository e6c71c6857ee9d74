"""What is to be gained: a planner with foresight against the best tuned rule and the best fixed mix, and what agents got.

Every training seed brings the numbers that were found for its rules, its best fixed mix and both agents. All meet the same
requests: episodes on evaluation seeds. The planner (:mod:`runs.studies.rollouts`) is told the regime and plans over
resampled futures, with the rule that was best on selection seeds as its base, in the world as that rule has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import envs
from envs.core.rules import Controller
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig, Randomisation
from hierarchy.arms import ablation
from hierarchy.arms.found import Chosen
from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, play
from hierarchy.arms.start import Agents
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import (
    BASE,
    BEST_RULE,
    OURS,
    ArmResult,
    Arms,
    Compared,
    Facts,
    arm_result,
    best_rule,
    combined_arm,
    compared,
    share_of_gap,
)
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.statistics import GapClosed
from hierarchy.evidence.tables import rows_of
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.agents import load_lower, load_upper
from hierarchy.storage.folder import OutputFolder, trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import controlled, of_rule, under
from runs.studies.rollouts import Horizon, Planner
from runs.studies.study import Job, Outcome, StudyOptions, balancing

N_EPISODES = 2
"""Evaluation seeds of every training seed: planning takes two minutes each."""
EPISODE_S = 900.0
"""Of an episode: as long as all regimes of the default world take together, which differ in what is to be gained."""
PLANNING_SEED = 7
PLANNER = "planner"
IN_HINDSIGHT = "best_rule_in_hindsight"
ENOUGH = {BEST_RULE: 10.0, IN_HINDSIGHT: 10.0, BASE: 15.0}
"""Percent of a rival's objective that must be there to be gained, for a world to have room."""


def found_in(config: ExperimentConfig, folder: OutputFolder) -> Mapping[str, Any]:
    """What was found on selection seeds, by name, the numbers of some rules among it."""
    found = ablation.read_found(config, folder.found)
    if not numbers_of_rules(config.env, found):
        raise SettingError("folder", "one whose rules have numbers (made by ablate with heuristics)", folder.path)
    return found


def numbers_of_rules(env: envs.EnvConfig, found: Mapping[str, Any]) -> dict[str, Chosen]:
    """What was found for rules, by name."""
    return {name: found[name] for name in envs.rules(env) if isinstance(found.get(name), Chosen)}


def check_known(world: LoadBalancingConfig) -> None:
    """The planner knows servers by their settings and measures them exactly.

    Raises
    ------
    SettingError
        Servers are drawn anew, reports are late, lost or noisy, or there are several balancers.
    """
    if world.balancers.n > 1:
        raise SettingError("env.balancers.n", "1 for this study", world.balancers.n)
    if world.randomise != Randomisation():
        raise SettingError("env.randomise", "left out for this study", world.randomise)
    if not world.telemetry.is_exact:
        raise SettingError("env.telemetry", "exact for this study", world.telemetry)


def of_planner(config: ExperimentConfig, name: str, batch: Batch, numbers: Mapping[str, Any], horizon: Horizon) -> Episodes:
    """A planner over a rule, in the world as the rule has it."""
    rule = envs.rules(config.env)[name]
    world = rule.configured(balancing(config))

    def base(n_envs: int) -> Controller:
        return rule.start(world, n_envs, [numbers])

    def start(simulation: Simulation) -> Planner:
        return Planner(world, simulation, base(simulation.n_envs), base, horizon, PLANNING_SEED)

    return controlled(config, batch._replace(env=world), start)


def n_windows(config: ExperimentConfig) -> int:
    """Windows of an episode."""
    return max(1, round(EPISODE_S / (balancing(config).dt_s * lower_steps_per_window(config))))


class Headroom:
    """A job is a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        check_known(balancing(config))
        folders = trained_folders(folder)[: options.seeds]
        return [Job(PLANNER, of_seed(config, one), one) for one in folders]

    def run_job(self, job: Job) -> dict[str, Any]:
        config, folder, world = job.config, OutputFolder(job.folder), balancing(job.config)
        spec, found = envs.describe(world), found_in(config, folder)
        rules = numbers_of_rules(world, found)
        ranked = sorted(rules, key=lambda name: -rules[name].mean)
        best = ranked[0]
        batch = Batch(world, "evaluate", range(N_EPISODES), n_windows(config))
        lower, upper = load_lower(folder, config), load_upper(folder, config)
        arms = {
            PLANNER: of_planner(config, best, batch, rules[best].numbers, Horizon()),
            OURS: play(config, Agents(lower, upper), {}, start_learned, batch),
            BASE: under(config, lower, found[BASE].mix(spec.terms), batch),
            **{name: of_rule(config, name, batch, [rules[name].numbers]) for name in ranked},
        }
        facts = ablation.facts_of(config) | {PLANNER: Facts("oracle", knows="the regime, the work that is left")}
        results = {name: arm_result(arm, facts[name], spec) for name, arm in arms.items()}
        return {"arms": {**results, BEST_RULE: results[best]}, BEST_RULE: best}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        of_seeds = list(results[PLANNER])
        arms = [one["arms"] for one in of_seeds]
        return {
            "arms": {name: combined_arm(arms, name) for name in arms[0]},
            "comparisons": {shown: compared(arms, PLANNER, rival) for shown, rival in _rivals(arms).items()},
            "shares": {shown: share_of_gap(arms, OURS, rival, PLANNER) for shown, rival in _rivals(arms).items()},
            "best_rules": [one[BEST_RULE] for one in of_seeds],
        }

    def sections(self, results: Outcome) -> list[Section]:
        chosen = ", ".join(sorted(set(results["best_rules"])))
        text = (
            f"A planner over the rule that was best on selection seeds ({chosen}), held against that rule, the one that is "
            f"best in these episodes, and the best fixed mix. {N_EPISODES} episodes a training seed. "
        )
        text += " ".join(
            _verdict(shown, one, results["arms"][one["rival"]]) for shown, one in results["comparisons"].items()
        )
        text += " " + " ".join(_share(shown, one) for shown, one in results["shares"].items())
        return [Section("What is to be gained", text, rows_of(list(results["arms"].items())), PLANNER)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _rivals(arms: Sequence[Arms]) -> dict[str, str]:
    """Whom the planner is held against: the rule chosen for each training seed, the best of all in hindsight, the mix."""
    themselves = [{name: arm for name, arm in one.items() if name != BEST_RULE} for one in arms]
    in_hindsight = best_rule(themselves)
    assert in_hindsight is not None
    return {BEST_RULE: BEST_RULE, IN_HINDSIGHT: in_hindsight, BASE: BASE}


def _verdict(shown: str, one: Compared, arm: ArmResult) -> str:
    """Whether the interval of a gain is above what is asked for."""
    asked = ENOUGH[shown] / 100.0 * abs(arm["objective"]["mean"])
    there = "shown" if one["ci95"][0] >= asked else "not shown"
    share = "" if one["percent"] is None else f", {one['percent']:+.1f} % of its objective"
    name = shown if shown == one["rival"] else f"{shown} ({one['rival']})"
    return f"{PLANNER} - {name}: {interval(dict(one), 'difference')}{share}; {ENOUGH[shown]:g} % are {there}."


def _share(shown: str, share: GapClosed | None) -> str:
    """How much of that gain the pair got."""
    got = "not told, the planner's gain may be 0" if share is None else interval(dict(share), digits=2)
    return f"Share of its gain over {shown} that {OURS} got: {got}."


STUDY = Headroom()
"""`metabalance study`."""
