"""Does an agent trained on four servers hold on six, and on twelve of which some are absent?

``python -m runs.studies.transfer DIR [--seeds N]`` trains the preset `transfer` on pools of four and on pools of six, for as
many steps, and runs both latency-first on the same evaluation seeds, in pools drawn from the same ranges that nobody was
trained on. It writes `transfer.json` in DIR. Agents that DIR holds already are used.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch as th

import envs
from envs.load_balancing.config import LoadBalancingConfig
from hierarchy.arms.episodes import run_heuristic, run_strategy
from hierarchy.arms.strategies import Fixed
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.statistics import t_interval
from hierarchy.building import lower
from hierarchy.protocols import TrainedActor
from hierarchy.study import side_by_side
from hierarchy.building import upper
from runs.settings import parse
from runs.studies.options import balancing

NAME = "transfer.json"
PRESET = "transfer"
TRAINED_ON = (4, 6)
RULE = "sed"
METRIC = "latency_mean_ms"


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


def latency_first(config: ExperimentConfig, policy: TrainedActor, role: Any = "evaluate") -> float:
    """Mean latency in ms of an agent in the world of ``config``, all weight on latency."""
    batch = envs.make(config.env, 1)
    fits = policy.fitted(batch.observation_space, batch.action_space)
    windows = upper.windows(config, fits, role, list(range(config.ablation.n_seeds)), config.ablation.episode_windows)
    context = np.eye(batch.n_terms)[batch.term_names.index("latency")]
    return float(run_strategy(windows, Fixed(context), config).statistics[METRIC].mean())


def rule_latency(config: ExperimentConfig) -> float:
    """Mean latency in ms of shortest expected delay, which is told every capacity, on the same seeds."""
    settings = config.ablation
    episodes = run_heuristic(RULE, config, "evaluate", list(range(settings.n_seeds)), settings.episode_windows)
    return float(episodes.statistics[METRIC].mean())


def run_seed(config: ExperimentConfig, n_servers: int, folder: Path) -> tuple[int, int, dict[str, float]]:
    """Train an agent on pools of a size, if the folder holds none, and meet it in every world."""
    th.set_num_threads(1)
    world = balancing(config)
    path = folder / f"{n_servers}-servers-seed-{config.seed}.zip"
    if not path.is_file():
        agent = lower.build(replace(config, env=of_size(world, n_servers)))
        agent.learn(config.lower.timesteps)
        agent.save(path)
    policy = config.lower.load(path).actor
    found = {name: latency_first(replace(config, env=env), policy) for name, env in worlds(world).items()}
    return config.seed, n_servers, found


def run(config: ExperimentConfig, folder: Path, n_seeds: int) -> dict[str, Any]:
    """Every training seed on either size; ratios of latencies and their spread over training seeds, by world."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [config.seed + i for i in range(n_seeds)]
    jobs = [(replace(config, seed=seed), size, folder) for seed in seeds for size in TRAINED_ON]
    met = {(seed, size): found for seed, size, found in side_by_side(jobs, run_seed)}
    out = {}
    for name, env in worlds(balancing(config)).items():
        small, large = (np.array([met[seed, size][name] for seed in seeds]) for size in TRAINED_ON)
        rule = np.array([rule_latency(replace(config, env=env, seed=seed)) for seed in seeds])
        out[name] = {
            "latency_mean_ms": {"trained_on_4": small.tolist(), "trained_on_6": large.tolist(), RULE: rule.tolist()},
            "trained_on_4_to_6": ratio(small, large),
            f"trained_on_4_to_{RULE}": ratio(small, rule),
        }
    return out


def ratio(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Mean ratio over training seeds with its t interval."""
    ratios = ours / theirs
    return {"mean": float(ratios.mean()), "ci95": t_interval(ratios), "per_seed": ratios.tolist()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m runs.studies.transfer", description=__doc__)
    parser.add_argument("folder", type=Path, help="output folder")
    parser.add_argument("--seeds", type=int, default=10, help="training seeds")
    options, rest = parser.parse_known_args()
    _, settings = parse("train", "", ["--preset", PRESET, *rest])
    tables = run(settings, options.folder, options.seeds)
    for name, table in tables.items():
        for key in ("trained_on_4_to_6", f"trained_on_4_to_{RULE}"):
            low, high = table[key]["ci95"]
            print(f"{name}, {key}: {table[key]['mean']:.3f} ({low:.3f} to {high:.3f})")
    results.write_json(tables, options.folder / NAME)
