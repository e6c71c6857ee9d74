"""Balancers that see their own requests alone, latency-first: one learned policy for all of them against rules.

SED that counts its own requests takes fast servers for empty. What a rule can do about it with one number stands beside the
agent: weights that are a power of nominal capacity, found on selection seeds. SED before the same servers with one balancer,
which sees everything, stands there, too. The agent also observes how the servers are used, by whomever; these rules don't.
Every figure is from evaluation seeds; a ratio below 1 is in the agent's favour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.rng import Role
from envs.core.validation import SettingError
from envs.load_balancing.rules.each import alone
from envs.load_balancing.rules.flatter import SED_FLATTER
from hierarchy.arms.running import Batch
from hierarchy.building.lower import build
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.protocols import TrainedActor
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import controlled, latency_first, of_rule
from runs.studies.study import Job, Outcome, StudyOptions, balancing, estimate

N_SEEDS = 10
METRIC = "latency_mean_ms"
POWERS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of nominal capacity, that a flatter SED is chosen from."""
LOCAL, FLATTER, OURS = "sed", "flatter sed", "learned"
GLOBAL, FLATTER_GLOBAL = "sed that sees all", "flatter sed that sees all"
RULES = (LOCAL, "lsq", "leastconn", "power_of_two")
"""Of each balancer, by its own requests."""
RIVALS = (LOCAL, FLATTER, GLOBAL, FLATTER_GLOBAL)
TEXT = (
    "Mean latency of the learned team over that of others, with 95 % intervals over training seeds, at each load by itself. "
    "Flatter SED has a power of nominal capacity for weights, found on selection seeds; SED that sees all is one balancer. "
    "Only the agent also observes how servers are used, by all balancers together."
)


def at_load(config: ExperimentConfig, load: float) -> ExperimentConfig:
    """The same pool at one load."""
    env = balancing(config)
    regimes = replace(env.workload.regimes, loads=[load])
    return replace(config, env=replace(env, workload=replace(env.workload, regimes=regimes)))


def batch_of(config: ExperimentConfig, role: Role) -> Batch:
    """The episodes that everything is met in."""
    settings = config.ablation
    n_seeds, n_windows = settings.n_seeds, settings.episode_windows
    if role == "select":
        n_seeds, n_windows = settings.n_trial_seeds, settings.select_windows
    return Batch(config.env, role, range(n_seeds), n_windows)


def flatter(config: ExperimentConfig, power: float, role: Role) -> Episodes:
    """SED of each balancer with weights that are a power of nominal capacity."""
    env, numbers = balancing(config), [{"power": power}]
    return controlled(config, batch_of(config, role), lambda below: SED_FLATTER.start(env, below.n_envs, numbers))


def latency_ms(episodes: Episodes) -> float:
    """Mean over seeds."""
    return float(episodes.statistics[METRIC].mean())


def best_power(config: ExperimentConfig) -> float:
    """The power with the lowest mean latency on selection seeds."""
    return min(POWERS, key=lambda power: latency_ms(flatter(config, power, "select")))


def rules_at(config: ExperimentConfig) -> dict[str, float]:
    """Mean latencies of rules at one load, and the power that was found."""
    power, batch = best_power(config), batch_of(config, "evaluate")
    seen = replace(config, env=alone(balancing(config)))
    return {
        **{name: latency_ms(of_rule(config, name, batch)) for name in RULES},
        FLATTER: latency_ms(flatter(config, power, "evaluate")),
        GLOBAL: latency_ms(of_rule(seen, LOCAL, batch._replace(env=seen.env))),
        FLATTER_GLOBAL: latency_ms(flatter(seen, best_power(seen), "evaluate")),
        "power": power,
    }


def agent_of(config: ExperimentConfig, folder: Path) -> TrainedActor:
    """The agent of a training seed, trained if the folder holds none."""
    out, name = OutputFolder(folder), f"balancers-seed-{config.seed}"
    if not out.agent(name).is_file():
        learner = build(config)
        learner.learn(config.lower.timesteps)
        agents.save(learner, out.agent(name), config)
    return agents.load_lower(out, config, name)


class Balancers:
    """A job is a training seed and what is met: its agent, or the rules."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        if balancing(config).n_backends > 1:
            raise SettingError("env.backends", "joint for this study", balancing(config).backends)
        seeds = [replace(config, seed=config.seed + i) for i in range(options.seeds or N_SEEDS)]
        return [Job(name, one, folder) for one in seeds for name in (OURS, "rules")]

    def run_job(self, job: Job) -> dict[str, dict[str, float]]:
        loads = balancing(job.config).workload.regimes.loads
        there = {f"{load:g}": at_load(job.config, load) for load in loads}
        if job.variant == "rules":
            return {load: rules_at(config) for load, config in there.items()}
        lower = agent_of(job.config, job.folder)
        return {
            load: {OURS: latency_ms(latency_first(config, lower, batch_of(config, "evaluate")))}
            for load, config in there.items()
        }

    def combine(self, results: Mapping[str, Sequence[dict[str, dict[str, float]]]], config: ExperimentConfig) -> Outcome:
        """Mean latencies and ratios of them by load."""
        return {
            load: _compared([one[load] for one in results[OURS]], [one[load] for one in results["rules"]])
            for load in results[OURS][0]
        }

    def sections(self, results: Outcome) -> list[Section]:
        names = [OURS, FLATTER, *RULES, GLOBAL, FLATTER_GLOBAL]
        rows = [["load", *(f"to {rival}" for rival in RIVALS), *(f"{name} (ms)" for name in names), "power"]]
        for load, one in results.items():
            means = [f"{np.mean(one[METRIC][name]):.1f}" for name in names]
            rows.append(
                [load, *(interval(one["ratios"][rival]) for rival in RIVALS), *means, f"{np.mean(one['power']):.2f}"]
            )
        return [Section("Balancers that see their own requests alone", TEXT, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def _compared(ours: Sequence[Mapping[str, float]], rules: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    latencies = {name: [one[name] for one in rules] for name in (*RULES, FLATTER, GLOBAL, FLATTER_GLOBAL)}
    latencies[OURS] = [one[OURS] for one in ours]
    arrays = {name: np.array(values) for name, values in latencies.items()}
    return {
        METRIC: latencies,
        "ratios": {rival: estimate(arrays[OURS] / arrays[rival]) for rival in RIVALS},
        "power": [one["power"] for one in rules],
    }


STUDY = Balancers()
