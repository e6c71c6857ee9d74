"""Does an agent trained on four servers hold on six, and on twelve of which some are absent?

Agents are trained on pools of four and on pools of six, for as many steps, and run latency-first on the same evaluation
seeds, in pools drawn from the same ranges that nobody was trained on. Agents that the folder holds already are used. Of four
servers the trained agent is deployed, or the untrained one where that is better on selection seeds of the same pools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import envs
from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms.running import Batch
from hierarchy.building.lower import build
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.protocols import TrainedActor
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder
from runs.report.section import Caption, Section, interval
from runs.studies.episodes import latency_first, of_rule
from runs.studies.recorded import Latencies, latencies_of, ratios_of, recorder_of
from runs.studies.study import Job, Outcome, StudyOptions, balancing

N_SEEDS = 10
AGENTS = {"trained_on_4": 4, "trained_on_6": 6}
"""Servers that an agent is trained on, by its name."""
RULE = "sed"
OURS, DEPLOYED = "trained_on_4", "deployed"
RATIOS = {
    "trained_on_4_to_6": ("trained_on_4", "trained_on_6"),
    f"trained_on_4_to_{RULE}": ("trained_on_4", RULE),
    f"{DEPLOYED}_to_{RULE}": (DEPLOYED, RULE),
}
"""Who is held against whom."""
METRIC = "latency_mean_ms"
TEXT = (
    "Ratios of mean latencies, latency-first, with 95 % intervals over training seeds, on a recording over its blocks too; "
    "below 1 four servers were enough. What is deployed was trained on four servers, or not at all where that was better on "
    "selection seeds."
)


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


class Met(NamedTuple):
    """Mean latency in ms, and on a recording all of them by its blocks."""

    mean_ms: float
    latencies: Latencies | None


def _met(episodes: Episodes) -> Met:
    return Met(float(episodes.statistics[METRIC].mean()), latencies_of(episodes))


def agent_latency(config: ExperimentConfig, lower: TrainedActor, role: Role = "evaluate") -> Met:
    """An agent in the world of ``config``, all weight on latency."""
    one = envs.make(config.env, 1)
    fitted = lower.fitted(one.observation_space, one.action_space)
    return _met(latency_first(config, fitted, batch_of(config, role), recorder_of(balancing(config))))


def rule_latency(config: ExperimentConfig) -> Met:
    """Shortest expected delay, which is told every capacity, on the same seeds."""
    return _met(of_rule(config, RULE, batch_of(config, "evaluate"), recorder=recorder_of(balancing(config))))


def trained_on(config: ExperimentConfig, n_servers: int, folder: Path) -> tuple[dict[str, Met], dict[str, Met]]:
    """Train an agent on pools of a size, if the folder holds none, and meet it in every world; and what is deployed."""
    world, out, name = balancing(config), OutputFolder(folder), f"{n_servers}-servers-seed-{config.seed}"
    of_its_own = replace(config, env=of_size(world, n_servers))
    if not out.agent(name).is_file():
        learner = build(of_its_own)
        learner.learn(config.lower.timesteps)
        agents.save(learner, out.agent(name), of_its_own)
    lower = agents.load_lower(out, of_its_own, name)
    untrained, there = build(of_its_own).actor, {name: replace(config, env=env) for name, env in worlds(world).items()}
    met = {name: agent_latency(one, lower) for name, one in there.items()}
    return met, {
        name: met[name] if gains(one, lower, untrained) else agent_latency(one, untrained) for name, one in there.items()
    }


def gains(config: ExperimentConfig, lower: TrainedActor, untrained: TrainedActor) -> bool:
    """Whether a trained agent is better than the untrained one on selection seeds of a world."""
    ours, nominal = (agent_latency(config, one, "select").mean_ms for one in (lower, untrained))
    return ours < nominal


def _compared(met: Mapping[str, Sequence[Met]]) -> dict[str, Any]:
    """The agent trained on four servers against the other one and the rule, given what each met with every training seed."""
    means = {who: np.array([one.mean_ms for one in of_seeds]) for who, of_seeds in met.items()}
    latencies = {who: [one.latencies for one in of_seeds] for who, of_seeds in met.items()}
    return {
        METRIC: {who: of_seeds.tolist() for who, of_seeds in means.items()},
        **{
            name: ratios_of({METRIC: means[ours] / means[rival]}, latencies[ours], latencies[rival])[METRIC]
            for name, (ours, rival) in RATIOS.items()
        },
    }


class Transfer:
    """A job is a training seed and what is met: an agent trained on pools of a size, or the rule."""

    captions: tuple[Caption, ...] = ()
    records = (Met, Latencies)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        balancing(config)
        seeds = [replace(config, seed=config.seed + i) for i in range(options.seeds or N_SEEDS)]
        return [Job(name, one, folder) for one in seeds for name in (*AGENTS, RULE)]

    def run_job(self, job: Job) -> dict[str, dict[str, Met]]:
        if job.variant in AGENTS:
            met, deployed = trained_on(job.config, AGENTS[job.variant], job.folder)
            return {job.variant: met} | ({DEPLOYED: deployed} if job.variant == OURS else {})
        of_worlds = worlds(balancing(job.config))
        return {job.variant: {name: rule_latency(replace(job.config, env=env)) for name, env in of_worlds.items()}}

    def combine(self, results: Mapping[str, Sequence[dict[str, dict[str, Met]]]], config: ExperimentConfig) -> Outcome:
        """Ratios of latencies by world, and what they vary with."""
        met = {who: [one[who] for one in of_seeds] for of_seeds in results.values() for who in of_seeds[0]}
        return {
            name: _compared({who: [one[name] for one in of_seeds] for who, of_seeds in met.items()})
            for name in worlds(balancing(config))
        }

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["world", *(name.replace("_", " ") for name in RATIOS)]]
        rows += [[name, *(interval(one[ratio]) for ratio in RATIOS)] for name, one in results.items()]
        return [Section("Other numbers of servers", TEXT, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


STUDY = Transfer()
