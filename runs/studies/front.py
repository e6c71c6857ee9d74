"""The front of what one lower agent can trade: latency, cost and unfairness over a grid of contexts.

``python -m runs.studies.front DIR`` holds every context of a simplex grid for whole evaluation episodes, with the lower
agent of every training seed in DIR, and writes `front.json` and `front.png` there: the points, which of them nothing beats
in all three, the hypervolume that they cover, and the expected utility over contexts. Figures are physical, not normalised:
mean latency in ms, cost in $/h, unfairness as 1 - Jain's index. The balancing rules are points of the same picture.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import torch as th
from numpy.typing import NDArray

import envs
from hierarchy.arms.episodes import Episodes, run_heuristic, run_strategy
from hierarchy.arms.strategies import Fixed
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.statistics import t_interval
from hierarchy.experiment import LOWER_NAME
from hierarchy.plots.front import plot_front
from envs.core.simplex import simplex_grid
from hierarchy.study import seed_of, side_by_side, trained_folders
from hierarchy.building.upper import windows
from runs.studies.options import study_of

FloatArray = NDArray[np.float64]

NAME = "front.json"
PICTURE = "front.png"
AXES = ("latency_mean_ms", "cost_usd_per_h", "unfairness")
REFERENCE = np.array([10_000.0, 5.0, 1.0])
"""The point that volumes are measured from: ten seconds, five dollars an hour, one server doing everything."""
GRID_POINTS = 9
N_SEEDS = 8
"""Evaluation seeds of every context."""


def losses(episodes: Episodes) -> FloatArray:
    """Mean latency, cost and unfairness of each env, ``(n_envs, 3)``."""
    statistics = episodes.statistics
    return np.stack([statistics[AXES[0]], statistics[AXES[1]], 1.0 - statistics["jain"]], axis=-1)


def hypervolume(points: FloatArray) -> float:
    """Share of the box from nothing to the reference that ``points (n, 3)`` cover; 1 would be free, instant and fair."""
    return float(moocore.hypervolume(points / REFERENCE, ref=np.ones(len(AXES))))


def run_seed(config: ExperimentConfig, folder: Path) -> tuple[int, FloatArray, float]:
    """Losses under every context of the grid ``(n, 3)``, and the expected utility: the mean of ``-context . loss``."""
    th.set_num_threads(1)
    grid = simplex_grid(3, GRID_POINTS)
    env_ids = list(range(N_SEEDS)) * len(grid)
    policy = config.lower.load(folder / LOWER_NAME).actor
    batch = windows(config, policy, "evaluate", env_ids, config.ablation.select_windows)
    episodes = run_strategy(batch, Fixed(np.repeat(grid, N_SEEDS, axis=0)), config)
    points = losses(episodes).reshape(len(grid), N_SEEDS, -1).mean(1)
    order = [AXES.index(name) for name in ("unfairness", "latency_mean_ms", "cost_usd_per_h")]  # as the terms are ordered
    utility = -(grid * (points / REFERENCE)[:, order]).sum(-1).mean()
    return config.seed, points, float(utility)


def rules(config: ExperimentConfig) -> dict[str, list[float]]:
    """Losses of every balancing rule on the same seeds."""
    ids, n_windows = list(range(N_SEEDS)), config.ablation.select_windows
    return {
        name: losses(run_heuristic(name, config, "evaluate", ids, n_windows)).mean(0).tolist()
        for name in envs.heuristics(config.env)
    }


def run(config: ExperimentConfig, folders: list[Path]) -> dict[str, Any]:
    """Every training seed's front, and the spread of its figures over them."""
    jobs = []
    for folder in folders:
        seed = seed_of(folder)
        jobs.append((replace(config, seed=seed), folder))
    by_seed = {seed: (points, utility) for seed, points, utility in side_by_side(jobs, run_seed)}
    seeds = sorted(by_seed)
    volumes = np.array([hypervolume(by_seed[seed][0]) for seed in seeds])
    utilities = np.array([by_seed[seed][1] for seed in seeds])
    points = by_seed[seeds[0]][0]
    of_rules = rules(replace(config, seed=seeds[0]))
    return {
        "axes": list(AXES),
        "reference": REFERENCE.tolist(),
        "contexts": simplex_grid(3, GRID_POINTS).tolist(),
        "points": points.tolist(),
        "on_front": moocore.is_nondominated(points).tolist(),
        "rules": of_rules,
        "hypervolume": {"mean": float(volumes.mean()), "ci95": t_interval(volumes), "per_seed": volumes.tolist()},
        "hypervolume_of_rules": hypervolume(np.array(list(of_rules.values()))),
        "expected_utility": {"mean": float(utilities.mean()), "ci95": t_interval(utilities), "per_seed": utilities.tolist()},
    }


if __name__ == "__main__":
    options, config = study_of("front", __doc__)
    found = run(config, trained_folders(options.folder))
    for name in ("hypervolume", "expected_utility"):
        low, high = found[name]["ci95"]
        print(f"{name}: {found[name]['mean']:.4f} ({low:.4f} to {high:.4f})")
    print(f"hypervolume_of_rules: {found['hypervolume_of_rules']:.4f}")
    print(f"{sum(found['on_front'])} of {len(found['points'])} contexts are on the front")
    results.write_json(found, options.folder / NAME)
    plot_front(found, options.folder / PICTURE)
