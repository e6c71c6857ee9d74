"""Does an agent trained on four servers hold on six, and on twelve of which some are absent?

Agents are trained on pools of four and on pools of six, for as many steps, and run latency-first on the same evaluation
seeds, in pools drawn from the same ranges that nobody was trained on. Agents that the folder holds already are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms.running import Batch
from hierarchy.building.lower import build
from hierarchy.config import ExperimentConfig
from hierarchy.protocols import TrainedActor
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import latency_first, of_rule
from runs.studies.study import Job, Outcome, StudyOptions, balancing, estimate

N_SEEDS = 10
AGENTS = {"trained_on_4": 4, "trained_on_6": 6}
"""Servers that an agent is trained on, by its name."""
RULE = "sed"
METRIC = "latency_mean_ms"
TEXT = "Ratios of mean latencies, latency-first, with 95 % intervals over training seeds; below 1 four servers were enough."


def of_size(config: LoadBalancingConfig, n_servers: int) -> LoadBalancingConfig:
    """The same world with a pool of another size, the servers of its pool taken in turn."""
    lists: dict[str, Any] = {
        name: list(islice(cycle(getattr(config.pool, name)), n_servers))
        for name in ("cores", "speed", "price_usd_per_h", "memory_gb")
    }
    return replace(config, pool=replace(config.pool, **lists))


def with_absent(config: LoadBalancingConfig, n_servers: int) -> LoadBalancingConfig:
    """A pool of that size of which four at least are there in an episode."""
    whole = of_size(config, n_servers)
    return replace(whole, randomise=replace(whole.randomise, n_servers=[4, n_servers]))


def worlds(config: LoadBalancingConfig) -> dict[str, LoadBalancingConfig]:
    """Where agents are met, by name."""
    return {"6 servers": of_size(config, 6), "4 to 12 of 12 servers": with_absent(config, 12)}


def batch_of(config: ExperimentConfig, role: Role) -> Batch:
    """The episodes that everything is met in, in the world of ``config``."""
    return Batch(config.env, role, range(config.ablation.n_seeds), config.ablation.episode_windows)


def agent_latency(config: ExperimentConfig, lower: TrainedActor, role: Role = "evaluate") -> float:
    """Mean latency in ms of an agent in the world of ``config``, all weight on latency."""
    one = envs.make(config.env, 1)
    fitted = lower.fitted(one.observation_space, one.action_space)
    return float(latency_first(config, fitted, batch_of(config, role)).statistics[METRIC].mean())


def rule_latency(config: ExperimentConfig) -> float:
    """Mean latency in ms of shortest expected delay, which is told every capacity, on the same seeds."""
    return float(of_rule(config, RULE, batch_of(config, "evaluate")).statistics[METRIC].mean())


def trained_on(config: ExperimentConfig, n_servers: int, folder: Path) -> dict[str, float]:
    """Train an agent on pools of a size, if the folder holds none, and meet it in every world."""
    world, out, name = balancing(config), OutputFolder(folder), f"{n_servers}-servers-seed-{config.seed}"
    of_its_own = replace(config, env=of_size(world, n_servers))
    if not out.agent(name).is_file():
        learner = build(of_its_own)
        learner.learn(config.lower.timesteps)
        agents.save(learner, out.agent(name), of_its_own)
    lower = agents.load_lower(out, of_its_own, name)
    return {name: agent_latency(replace(config, env=env), lower) for name, env in worlds(world).items()}


class Transfer:
    """A job is a training seed and what is met: an agent trained on pools of a size, or the rule."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        balancing(config)
        seeds = [replace(config, seed=config.seed + i) for i in range(options.seeds or N_SEEDS)]
        return [Job(name, one, folder) for one in seeds for name in (*AGENTS, RULE)]

    def run_job(self, job: Job) -> dict[str, float]:
        if job.variant in AGENTS:
            return trained_on(job.config, AGENTS[job.variant], job.folder)
        of_worlds = worlds(balancing(job.config))
        return {name: rule_latency(replace(job.config, env=env)) for name, env in of_worlds.items()}

    def combine(self, results: Mapping[str, Sequence[dict[str, float]]], config: ExperimentConfig) -> Outcome:
        """Ratios of latencies and their spread over training seeds, by world."""
        out = {}
        for name in worlds(balancing(config)):
            small, large, rule = (np.array([one[name] for one in results[variant]]) for variant in (*AGENTS, RULE))
            out[name] = {
                METRIC: {"trained_on_4": small.tolist(), "trained_on_6": large.tolist(), RULE: rule.tolist()},
                "trained_on_4_to_6": estimate(small / large),
                f"trained_on_4_to_{RULE}": estimate(small / rule),
            }
        return out

    def sections(self, results: Outcome) -> list[Section]:
        ratios = ("trained_on_4_to_6", f"trained_on_4_to_{RULE}")
        rows = [["world", *(name.replace("_", " ") for name in ratios)]]
        rows += [[name, *(interval(one[ratio]) for ratio in ratios)] for name, one in results.items()]
        return [Section("Other numbers of servers", TEXT, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Transfer()
