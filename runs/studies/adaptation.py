"""What a hierarchy is for: another objective after training.

The agents of training seeds are given another objective, or other prices. Over the frozen lower agent a fresh upper agent is
trained; the agent without a hierarchy goes on training from where it was. Both are evaluated on selection seeds while they
learn, and the study says how many simulated lower steps and seconds each takes until it keeps 95 % of the way from where it
began to where it ended. Final figures are from evaluation seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hierarchy.arms.episodes import run_strategy, run_unmixed
from hierarchy.arms.strategies import Learned
from numpy.typing import NDArray

from hierarchy.arms import flat
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.statistics import t_interval
from hierarchy.experiment import FLAT_NAME, LOWER_NAME
from hierarchy.plots.adaptation import plot_adaptation
from hierarchy.study import seed_folders, seed_of
from hierarchy.upper import agent as upper
from runs.report.section import Caption, Section, interval
from runs.studies.study import Found, Job, StudyOptions, balancing
from runs.studies.training import Evaluations

FloatArray = NDArray[np.float64]

PICTURE = "adaptation.png"
N_SEEDS = 5
SHARE = 0.95
N_EVALUATIONS = 40
"""Times that an agent is evaluated while it learns."""
LEARNING_STARTS_SHARE = 0.1
"""Share of the usual random start: a fresh upper agent has one task to find, and soon."""
META_STEPS_SHARE = 0.5
"""Share of the usual meta steps."""
SELECT_SEEDS = 8


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


def first_kept(values: FloatArray, share: float = SHARE) -> int:
    """The first evaluation from which on ``values (n,)`` stay at or above ``share`` of the way from first to final.

    Values are smoothed over three evaluations, and the final one is the mean of the last eighth, so that a lucky evaluation
    neither sets the goal nor reaches it. Where nothing was gained, the first counts; where the goal isn't kept, the last.
    """
    final = values[-max(1, len(values) // 8) :].mean()
    goal = values[0] + share * (final - values[0])
    if final <= values[0]:
        return 0
    n_smoothed = max(1, len(values) - 2)
    smooth = np.array([values[i : i + 3].mean() for i in range(n_smoothed)])
    below = np.flatnonzero(smooth < goal)
    kept = int(below[-1]) + 1 if len(below) else 0
    return kept if kept < n_smoothed else len(values) - 1


def _outcome(evaluations: Evaluations, steps_per_timestep: int, final: float) -> dict[str, Any]:
    values = np.array(evaluations.values)
    reached = first_kept(values)
    return {
        "lower_steps": [steps * steps_per_timestep for steps in evaluations.timesteps],
        "values": values.tolist(),
        "steps_to_95": evaluations.timesteps[reached] * steps_per_timestep,
        "seconds_to_95": evaluations.seconds[reached],
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

    evaluations = Evaluations(
        lambda: score("select", SELECT_SEEDS, config.ablation.select_windows), config.upper.meta_steps // N_EVALUATIONS
    )
    agent.learn(config.upper.meta_steps, callback=evaluations)
    return _outcome(evaluations, period, score("evaluate", config.ablation.n_seeds, config.ablation.episode_windows))


def adapt_flat(config: ExperimentConfig, path: Path) -> dict[str, Any]:
    """The agent without a hierarchy, going on from what it has learned."""
    agent = flat.build(config)
    assert isinstance(agent, SB3Learner)
    agent.agent.set_parameters(str(path), device="cpu")
    n_steps = flat.timesteps(config)

    def score(role: Any, n_seeds: int, n_windows: int) -> float:
        batch = upper.windows(config, agent.actor, role, list(range(n_seeds)), n_windows)
        return float(run_unmixed(batch, config).objective.mean())

    evaluations = Evaluations(
        lambda: score("select", SELECT_SEEDS, config.ablation.select_windows), n_steps // N_EVALUATIONS
    )
    agent.learn(n_steps, callback=evaluations)
    return _outcome(evaluations, 1, score("evaluate", config.ablation.n_seeds, config.ablation.episode_windows))


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


class Adaptation:
    """A job is a change and a training seed."""

    captions = (Caption(PICTURE, "Another objective after training", "Thin lines are training seeds."),)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        folders = [one for one in seed_folders(folder) if (one / FLAT_NAME).is_file()][: options.seeds or N_SEEDS]
        seeds = [replace(config, seed=seed_of(one)) for one in folders]
        return [Job(name, CHANGES[name](of), one) for of, one in zip(seeds, folders, strict=True) for name in CHANGES]

    def run_job(self, job: Job) -> dict[str, Any]:
        policy = lower.policy_of(lower.load(job.folder / LOWER_NAME))
        return {"td3": adapt_upper(job.config, policy), "flat": adapt_flat(job.config, job.folder / FLAT_NAME)}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Found:
        return {change: summary(list(of_seeds)) for change, of_seeds in results.items()}

    def sections(self, found: Found) -> list[Section]:
        rows = [["change", "arm", "lower steps to 95 %", "seconds to 95 %", "final objective"]]
        text = "A fresh upper agent over the frozen lower one, against an agent without a hierarchy that goes on learning. "
        for change, one in found.items():
            for arm, figures in one["arms"].items():
                seconds, final = f"{figures['seconds_to_95']:.1f}", f"{figures['final']:.3f}"
                rows.append([change, arm, f"{figures['steps_to_95']:,.0f}", seconds, final])
            difference = interval(one["td3_minus_flat"])
            text += f"{change}: {one['share_of_flat_steps']:.2f} of the steps; td3 - flat {difference}. "
        return [Section("Another objective after training", text, rows, "td3")]

    def draw(self, found: Found, folder: Path) -> None:
        plot_adaptation(found, folder / PICTURE)


STUDY = Adaptation()
