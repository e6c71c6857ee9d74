"""What a hierarchy is for: another objective after training.

``python -m runs.studies.adaptation DIR [--seeds N]`` takes the agents of the first N training seeds in DIR and gives them
another objective, or other prices. Over the frozen lower agent a fresh upper agent is trained; the agent without a hierarchy
goes on training from where it was. Both are looked at on selection seeds while they learn, and the study says how many
simulated lower steps and seconds each takes until it first keeps 95 % of the way from where it began to where it ended.
Final figures are from evaluation seeds. Writes `adaptation.json` and `adaptation.png`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from numpy.typing import NDArray

from hierarchy.arms import flat
from hierarchy.arms.episodes import run_strategy, run_unmixed
from hierarchy.arms.strategies import Learned
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.statistics import t_interval
from hierarchy.experiment import FLAT_NAME, LOWER_NAME
from hierarchy.plots.adaptation import plot_adaptation
from hierarchy.protocols import TrainedActor
from hierarchy.sb3 import SB3Learner
from hierarchy.study import seed_folders, seed_of, side_by_side
from hierarchy.building import upper
from hierarchy.upper.config import OffPolicyConfig
from runs.studies.options import balancing, study_of

FloatArray = NDArray[np.float64]

NAME = "adaptation.json"
PICTURE = "adaptation.png"
N_SEEDS = 5
SHARE = 0.95
N_LOOKS = 40
"""Times that an agent is looked at while it learns."""
LEARNING_STARTS_SHARE = 0.1
"""Share of the usual random start: a fresh upper agent has one task to find, and soon."""
META_STEPS_SHARE = 0.5
"""Share of the usual meta steps."""
LOOK_SEEDS = 8


def slo(config: ExperimentConfig) -> ExperimentConfig:
    """Cost subject to a latency bound, where profit was asked for."""
    return replace(config, upper=replace(config.upper, objective="slo", slo_ms=400.0))


def prices(config: ExperimentConfig) -> ExperimentConfig:
    """A heat wave: meters are worth ten times as much and must not be late, the fast server costs a third."""
    world = balancing(config)
    workload, pool = world.workload, world.pool
    batch = replace(workload.batch, value_usd=10 * workload.batch.value_usd, penalty_usd=4 * workload.batch.value_usd)
    cheaper = [pool.price_usd_per_h[0] / 3, *pool.price_usd_per_h[1:]]
    env = replace(world, workload=replace(workload, batch=batch), pool=replace(pool, price_usd_per_h=cheaper))
    return replace(config, env=env)


CHANGES: dict[str, Callable[[ExperimentConfig], ExperimentConfig]] = {"slo": slo, "prices": prices}


class Looks:
    """Looks at the agent at even intervals, and remembers what it did and how long it had trained; looking is not timed."""

    def __init__(self, look: Callable[[], float], every: int) -> None:
        self._look, self._every = look, every
        self.timesteps: list[int] = []
        self.seconds: list[float] = []
        self.values: list[float] = []
        self._trained_s = 0.0
        self._since_s = 0.0

    def take(self, n_steps: int = 0) -> None:
        """Look now."""
        self.timesteps.append(n_steps)
        self.seconds.append(self._trained_s)
        self.values.append(self._look())
        self._since_s = time.perf_counter()

    def on_step(self, n_steps: int) -> None:
        """Look at even intervals."""
        if n_steps - self.timesteps[-1] >= self._every:
            self._trained_s += time.perf_counter() - self._since_s
            self.take(n_steps)

    def on_metrics(self, values: Mapping[str, float], n_steps: int) -> None:
        """Figures of the update are not needed."""


def first_kept(values: FloatArray, share: float = SHARE) -> int:
    """The first look from which on ``values (n,)`` stay at or above ``share`` of the way from the first to the final one.

    The final value is the mean of the last eighth, so that one lucky look doesn't set the goal. Where nothing was gained,
    the first look counts.
    """
    final = values[-max(1, len(values) // 8) :].mean()
    goal = values[0] + share * (final - values[0])
    if final <= values[0]:
        return 0
    smooth = np.array([values[i : i + 3].mean() for i in range(len(values))])
    return int(np.argmax(smooth >= goal))


def _outcome(looks: Looks, steps_per_timestep: int, final: float) -> dict[str, Any]:
    values = np.array(looks.values)
    reached = first_kept(values)
    return {
        "lower_steps": [steps * steps_per_timestep for steps in looks.timesteps],
        "values": values.tolist(),
        "steps_to_95": looks.timesteps[reached] * steps_per_timestep,
        "seconds_to_95": looks.seconds[reached],
        "final": final,
    }


def adapt_upper(config: ExperimentConfig, policy: TrainedActor) -> dict[str, Any]:
    """A fresh upper agent over the frozen lower one."""
    usual = config.upper
    assert isinstance(usual, OffPolicyConfig)
    quick = replace(
        usual,
        learning_starts=round(LEARNING_STARTS_SHARE * usual.learning_starts),
        meta_steps=max(usual.n_envs, round(META_STEPS_SHARE * usual.meta_steps)),
    )
    config = replace(config, upper=quick)
    agent = upper.build(config, policy)
    period = upper.lower_steps_per_window(config)

    def score(role: Any, n_seeds: int, n_windows: int) -> float:
        batch = upper.windows(config, policy, role, list(range(n_seeds)), n_windows)
        return float(run_strategy(batch, Learned(agent.actor), config).objective.mean())

    looks = Looks(lambda: score("select", LOOK_SEEDS, config.ablation.select_windows), config.upper.meta_steps // N_LOOKS)
    looks.take()
    agent.learn(config.upper.meta_steps, looks)
    return _outcome(looks, period, score("evaluate", config.ablation.n_seeds, config.ablation.episode_windows))


def adapt_flat(config: ExperimentConfig, path: Path) -> dict[str, Any]:
    """The agent without a hierarchy, going on from what it has learned."""
    agent = flat.build(config)
    assert isinstance(agent, SB3Learner)
    agent.agent.set_parameters(str(path), device="cpu")
    n_steps = flat.timesteps(config)

    def score(role: Any, n_seeds: int, n_windows: int) -> float:
        batch = upper.windows(config, agent.actor, role, list(range(n_seeds)), n_windows)
        return float(run_unmixed(batch, config).objective.mean())

    looks = Looks(lambda: score("select", LOOK_SEEDS, config.ablation.select_windows), n_steps // N_LOOKS)
    looks.take()
    agent.learn(n_steps, looks)
    return _outcome(looks, 1, score("evaluate", config.ablation.n_seeds, config.ablation.episode_windows))


def run_seed(change: str, config: ExperimentConfig, folder: Path) -> tuple[str, int, dict[str, Any]]:
    """Both agents of one training seed under one change."""
    th.set_num_threads(1)
    changed = CHANGES[change](config)
    policy = config.lower.load(folder / LOWER_NAME).actor
    found = {"td3": adapt_upper(changed, policy), "flat": adapt_flat(changed, folder / FLAT_NAME)}
    return change, config.seed, found


def summary(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """One change over its training seeds."""
    steps = {arm: np.array([one[arm]["steps_to_95"] for one in of_seeds], float) for arm in ("td3", "flat")}
    difference = np.array([one["td3"]["final"] - one["flat"]["final"] for one in of_seeds])
    return {
        "arms": {
            arm: {
                key: float(np.mean([one[arm][key] for one in of_seeds])) for key in ("steps_to_95", "seconds_to_95", "final")
            }
            for arm in ("td3", "flat")
        },
        "share_of_flat_steps": float(steps["td3"].mean() / max(steps["flat"].mean(), 1.0)),
        "td3_minus_flat": {"mean": float(difference.mean()), "ci95": t_interval(difference)},
        "per_seed": of_seeds,
    }


def run(config: ExperimentConfig, folders: list[Path]) -> dict[str, Any]:
    """Every change for every training seed."""
    jobs = []
    for folder in folders:
        seed = seed_of(folder)
        jobs += [(change, replace(config, seed=seed), folder) for change in CHANGES]
    found: dict[str, dict[int, Any]] = {change: {} for change in CHANGES}
    for change, seed, one in side_by_side(jobs, run_seed):
        found[change][seed] = one
        print(f"{change}, seed {seed}: " + ", ".join(f"{arm} {one[arm]['final']:.3f}" for arm in one), flush=True)
    return {change: summary([of_seeds[seed] for seed in sorted(of_seeds)]) for change, of_seeds in found.items()}


if __name__ == "__main__":
    options, config = study_of("adaptation", __doc__, N_SEEDS)
    folders = [folder for folder in seed_folders(options.folder) if (folder / FLAT_NAME).is_file()][: options.seeds]
    found = run(config, folders)
    for change, one in found.items():
        low, high = one["td3_minus_flat"]["ci95"]
        print(
            f"{change}: td3 needs {one['share_of_flat_steps']:.3f} of flat's steps; "
            f"final td3 - flat {one['td3_minus_flat']['mean']:+.3f} ({low:+.3f} to {high:+.3f})"
        )
        print(json.dumps(one["arms"], indent=1))
    results.write_json(found, options.folder / NAME)
    plot_adaptation(found, options.folder / PICTURE)
