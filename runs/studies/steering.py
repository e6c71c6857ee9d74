"""Does the lower agent follow its context? Cost and latency along the edge from latency-first to cost-first.

Run over a trained folder: ``python -m runs.studies.steering DIR``. It holds the load at 0.4 and prints, per context,
cost and mean latency over selection seeds, then the two ratios between the corners.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import envs
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.experiment import LOWER_NAME
from hierarchy.plots.curves import plot_curve
from hierarchy.protocols import Actor
from hierarchy.upper.meta_env import Windows
from runs.settings import parse
from runs.studies.options import balancing

LOAD = 0.4
N_POINTS = 9
N_SEEDS = 16
N_STEPS = 2000

FloatArray = NDArray[np.float64]


def edge(n_points: int) -> FloatArray:
    """Contexts from (0, 1, 0), latency-first, to (0, 0, 1), cost-first; ``(n_points, 3)``."""
    cost = np.linspace(0.0, 1.0, n_points)
    return np.stack([np.zeros(n_points), 1.0 - cost, cost], axis=-1)


def at_load(config: LoadBalancingConfig, load: float) -> LoadBalancingConfig:
    """The same world with all regimes at one load; their class mixes stay."""
    regimes = replace(config.workload.regimes, loads=[load])
    return replace(config, workload=replace(config.workload, regimes=regimes))


def measure(
    config: ExperimentConfig, policy: Actor, contexts: FloatArray, n_seeds: int, n_steps: int
) -> tuple[FloatArray, FloatArray]:
    """Cost in $/h and mean latency in ms, each ``(n_seeds, n_contexts)``, over one episode at load 0.4."""
    env = replace(at_load(balancing(config), LOAD), episode_steps=n_steps)
    env_ids = list(range(n_seeds)) * len(contexts)
    batch = envs.make(env, len(env_ids), config.seed, "select", env_ids=env_ids)
    windows = Windows(batch, policy.start(len(env_ids)))
    windows.reset()
    statistics, _ = windows.run(np.repeat(contexts, n_seeds, axis=0), n_steps)
    shape = (len(contexts), n_seeds)
    return statistics["cost_usd_per_h"].reshape(shape).T, statistics["latency_mean_ms"].reshape(shape).T


def main(folder: Path) -> None:
    """Measure, print, and keep the picture beside the agent."""
    _, config = parse("ablate", "", ["--out", str(folder)], over_saved=True)
    policy = config.lower.load(folder / LOWER_NAME).actor
    contexts = edge(N_POINTS)
    cost, latency = measure(config, policy, contexts, N_SEEDS, N_STEPS)
    for context, dollars, ms in zip(contexts, cost.mean(0), latency.mean(0), strict=True):
        print(f"context {context.round(3).tolist()}: cost {dollars:.3f} $/h, mean latency {ms:.1f} ms")
    ratios = {
        "cost_first_to_latency_first_cost": float(cost[:, -1].mean() / cost[:, 0].mean()),
        "latency_first_to_cost_first_latency": float(latency[:, 0].mean() / latency[:, -1].mean()),
    }
    for name, value in ratios.items():
        print(f"{name}: {value:.3f}")
    results.write_json(ratios, folder / "steering.json")
    rows = {"cost ($/h)": cost, "mean latency (ms)": latency}
    plot_curve(contexts[:, 2], rows, "weight of cost; the rest is on latency (1)", folder / "steering.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m runs.studies.steering", description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder of a trained lower agent")
    main(parser.parse_args().folder)
