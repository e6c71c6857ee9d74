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

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.rules import Controller, Numbers
from envs.core.simulation import Simulation
from envs.core.validation import SettingError
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms import ablation
from hierarchy.arms.found import Chosen
from hierarchy.arms.running import Batch
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.statistics import t_interval
from hierarchy.storage.agents import load_lower
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import OutputFolder, trained_folders
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import under
from runs.studies.rollouts import Horizon, Planner
from runs.studies.study import Job, Outcome, StudyOptions, balancing

N_EPISODES = 4
"""Evaluation seeds of every training seed: planning takes a minute each."""
N_WINDOWS = 60
"""Windows of an episode."""
PLANNING_SEED = 7
ENOUGH = {"best_rule": 0.10, "fixed_best": 0.15}
"""The share of a rival's objective that must be there to be gained, for a world to have room."""


def rule_numbers(config: ExperimentConfig, folder: OutputFolder) -> dict[str, Chosen]:
    """What was found for rules on selection seeds, by name."""
    found = ablation.from_json(config, read_json(folder.found))
    chosen = {name: found[name] for name in envs.rules(config.env) if isinstance(found.get(name), Chosen)}
    if not chosen:
        raise SettingError("folder", "one whose rules have numbers (made by ablate with heuristics)", folder.path)
    return chosen


def _controlled(config: LoadBalancingConfig, seed: int, start: Any) -> FloatArray:
    """The objective ``(N_EPISODES,)`` of the controller that ``start`` makes of a simulation."""
    simulation = envs.simulate(config, N_EPISODES, seed, "evaluate")
    simulation.reset()
    controller: Controller = start(simulation)
    while not simulation.ended.all():
        simulation.advance(controller.decide(simulation.measurements))
    return simulation.objective(simulation.statistics())


def of_rule(name: str, world: LoadBalancingConfig, seed: int, numbers: Numbers) -> FloatArray:
    """The objective of a rule ``(N_EPISODES,)``."""
    rule = envs.rules(world)[name]
    configured = rule.configured(world)
    return _controlled(configured, seed, lambda simulation: rule.start(configured, simulation.n_envs, [numbers]))


def of_planner(name: str, world: LoadBalancingConfig, seed: int, numbers: Numbers, horizon: Horizon) -> FloatArray:
    """The objective of a planner over a rule ``(N_EPISODES,)``."""
    rule = envs.rules(world)[name]

    def start(simulation: Simulation) -> Planner:
        def base(n_envs: int) -> Controller:
            return rule.start(world, n_envs, [numbers])

        return Planner(world, simulation, base(simulation.n_envs), base, horizon, PLANNING_SEED)

    return _controlled(world, seed, start)


class Headroom:
    """A job is a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        balancing(config)
        folders = trained_folders(folder)[: options.seeds]
        return [Job("planner", replace(config, seed=OutputFolder(one).seed), one) for one in folders]

    def run_job(self, job: Job) -> dict[str, Any]:
        config, folder, seed = job.config, OutputFolder(job.folder), job.config.seed
        n_steps = N_WINDOWS * config.upper.meta_period
        world = replace(balancing(config), episode_steps=n_steps)
        chosen = rule_numbers(config, folder)
        rules = {name: of_rule(name, world, seed, one.numbers) for name, one in chosen.items()}
        acting = [name for name in chosen if envs.rules(world)[name].configured(world) == world]
        base = max(acting, key=lambda name: chosen[name].mean)
        planner = of_planner(base, world, seed, chosen[base].numbers, Horizon())
        return {
            "rules": {name: values.tolist() for name, values in rules.items()},
            "best_rule": max(chosen, key=lambda name: chosen[name].mean),
            "base": base,
            "planner": planner.tolist(),
            "fixed_best": self._fixed_best(config, folder, world).tolist(),
        }

    def _fixed_best(self, config: ExperimentConfig, folder: OutputFolder, world: LoadBalancingConfig) -> FloatArray:
        """The objective of the best fixed mix ``(N_EPISODES,)``."""
        mix: Chosen = ablation.from_json(config, read_json(folder.found))["fixed_best"]
        terms = envs.describe(world).terms
        batch = Batch(world, "evaluate", range(N_EPISODES), N_WINDOWS)
        return under(config, load_lower(folder, config), mix.mix(terms), batch).objective

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        of_seeds = list(results["planner"])
        planner = np.array([one["planner"] for one in of_seeds])
        rivals = {
            "best_rule": np.array([one["rules"][one["best_rule"]] for one in of_seeds]),
            "fixed_best": np.array([one["fixed_best"] for one in of_seeds]),
        }
        return {
            "planner": _of(planner),
            "rivals": {name: _against(planner, values) for name, values in rivals.items()},
            "best_rules": [one["best_rule"] for one in of_seeds],
            "bases": [one["base"] for one in of_seeds],
            "per_seed": of_seeds,
        }

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["rival", "objective", "planner - rival", "share of the rival's", "asked for"]]
        for name, one in results["rivals"].items():
            share, asked = f"{one['share']:+.1%}", f"{ENOUGH[name]:.0%}"
            rows.append([name, interval(one["objective"]), interval(one["gain"]), share, asked])
        rules = ", ".join(sorted(set(results["best_rules"])))
        text = (
            f"A planner that is told the regime gets {interval(results['planner'])}. "
            f"Best rules on selection seeds: {rules}. {N_EPISODES} episodes a training seed."
        )
        return [Section("What is to be gained", text, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _of(values: FloatArray) -> dict[str, Any]:
    """Mean of ``values (n_training, n_episodes)``, over training seeds, or over the episodes of a single one."""
    units = values[0] if len(values) == 1 else values.mean(-1)
    return {"mean": float(values.mean()), "ci95": t_interval(units)}


def _against(planner: FloatArray, rival: FloatArray) -> dict[str, Any]:
    return {
        "objective": _of(rival),
        "gain": _of(planner - rival),
        "share": float((planner - rival).mean() / max(abs(rival.mean()), 1e-12)),
    }


STUDY = Headroom()
"""`metabalance study`."""
