"""Does the lower agent follow its context? Cost and latency along the edge from latency-first to cost-first.

The load is held at 0.4; cost and mean latency are measured per context over selection seeds, then the two ratios between the
corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.arrays import FloatArray
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms.running import Batch
from hierarchy.config import ExperimentConfig
from hierarchy.phases.tuning import of_seed
from hierarchy.plots.curves import plot_curve
from hierarchy.protocols import Actor
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import OutputFolder, trained_folders
from runs.report.section import Caption, Section
from runs.studies.episodes import under
from runs.studies.study import Job, Outcome, StudyOptions, balancing, term_names

PICTURE = "steering.png"
RATIOS = ("cost_first_to_latency_first_cost", "latency_first_to_cost_first_latency")
LOAD = 0.4
N_POINTS = 9
N_SEEDS = 16
EPISODE_S = 500.0


def edge(n_points: int, terms: Sequence[str]) -> FloatArray:
    """Contexts from all weight on latency to all weight on cost; ``(n_points, n_terms)``."""
    cost = np.linspace(0.0, 1.0, n_points)
    contexts = np.zeros((n_points, len(terms)))
    contexts[:, terms.index("latency")] = 1.0 - cost
    contexts[:, terms.index("cost")] = cost
    return contexts


def at_load(config: LoadBalancingConfig, load: float) -> LoadBalancingConfig:
    """The same world with all regimes at one load; their class mixes stay."""
    regimes = replace(config.workload.regimes, loads=[load])
    return replace(config, workload=replace(config.workload, regimes=regimes))


def measure(
    config: ExperimentConfig, lower: Actor, contexts: FloatArray, n_seeds: int, n_steps: int
) -> tuple[FloatArray, FloatArray]:
    """Cost in $/h and mean latency in ms, each ``(n_seeds, n_contexts)``, over one episode at load 0.4."""
    env = replace(at_load(balancing(config), LOAD), episode_steps=n_steps)
    env_ids = list(range(n_seeds)) * len(contexts)
    whole = replace(config, env=env, upper=replace(config.upper, meta_step="episode", ahead_windows=0))
    statistics = under(whole, lower, np.repeat(contexts, n_seeds, axis=0), Batch(env, "select", env_ids, 1)).statistics
    shape = (len(contexts), n_seeds)
    return statistics["cost_usd_per_h"].reshape(shape).T, statistics["latency_mean_ms"].reshape(shape).T


class Steering:
    """A single job: the lower agent of the first training seed."""

    captions = (Caption(PICTURE, "Following the context", "At load 0.4, from latency-first to cost-first."),)

    def __init__(self, n_seeds: int = N_SEEDS, episode_s: float = EPISODE_S) -> None:
        self._n_seeds, self._episode_s = n_seeds, episode_s

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        balancing(config)
        first = trained_folders(folder)[0]
        return [Job("edge", of_seed(config, first), first)] if OutputFolder(first).agent("lower").is_file() else []

    def run_job(self, job: Job) -> dict[str, Any]:
        lower = load_lower(OutputFolder(job.folder), job.config)
        contexts = edge(N_POINTS, term_names(job.config))
        n_steps = max(1, round(self._episode_s / balancing(job.config).dt_s))
        cost, latency = measure(job.config, lower, contexts, self._n_seeds, n_steps)
        return {"contexts": contexts, "cost": cost, "latency": latency}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        (one,) = results["edge"]
        cost, latency = one["cost"], one["latency"]
        return {
            "cost_first_to_latency_first_cost": float(cost[:, -1].mean() / cost[:, 0].mean()),
            "latency_first_to_cost_first_latency": float(latency[:, 0].mean() / latency[:, -1].mean()),
            "weight_of_cost": one["contexts"][:, term_names(config).index("cost")].tolist(),
            "cost_usd_per_h": cost.tolist(),
            "latency_mean_ms": latency.tolist(),
        }

    def sections(self, results: Outcome) -> list[Section]:
        cost, latency = (np.array(results[name]).mean(0) for name in ("cost_usd_per_h", "latency_mean_ms"))
        rows = [["weight of cost", "cost ($/h)", "mean latency (ms)"]]
        rows += [
            [f"{weight:.3f}", f"{dollars:.3f}", f"{ms:.1f}"]
            for weight, dollars, ms in zip(results["weight_of_cost"], cost, latency, strict=True)
        ]
        text = "The lower agent at load 0.4; what is not on cost is on latency. " + ", ".join(
            f"{name.replace('_', ' ')}: {results[name]:.3f}" for name in RATIOS
        )
        return [Section("Following the context", f"{text}.", rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        weights, label = np.array(results["weight_of_cost"]), "weight of cost; the rest is on latency (1)"
        cost, latency = np.array(results["cost_usd_per_h"]), np.array(results["latency_mean_ms"])
        plot_curve(weights, {"cost ($/h)": cost, "mean latency (ms)": latency}, label, folder / PICTURE)


STUDY = Steering()
