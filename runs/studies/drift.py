"""Whether an upper agent that goes on learning follows a world that drifts.

The pair of every training seed meets streams of some hours in which servers and mix drift. It is met as it was deployed,
watched by the guard alone, going on to learn, going on to learn from the opposite of the objective, and with an upper agent
that was trained in the drifting world over the same lower agent, of as many candidates and chosen as the deployed one was.
All meet the same requests. What counts is the second half of a stream: by then there was time to follow. What the deployed
agent loses there is what it lacks of the one that was trained in it. How often it is rolled back where nothing is learned
says what drift alone does to the guard, whose promise is of a world that does not drift.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.core.objectives import evaluate
from envs.core.simulation import Simulation
from envs.core.statistics import Statistics
from envs.load_balancing.config import DriftConfig
from hierarchy.building import candidates
from hierarchy.building.upper import simulation
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.online.building import online_of
from hierarchy.online.config import OnlineConfig
from hierarchy.online.setter import Online
from hierarchy.pair import ContextSetter, Pair, Upper
from hierarchy.phases.tuning import of_seed
from hierarchy.plots.drift import plot_drift
from hierarchy.protocols import Actor
from hierarchy.storage.bundle import parts_of
from hierarchy.storage.folder import trained_folders
from hierarchy.storage.trained import Trained, load
from hierarchy.upper.meta_env import run_window
from runs.report.section import Caption, Section, interval
from runs.studies.phase_two import best_candidate
from runs.studies.study import Job, Outcome, StudyOptions, balancing, estimate

PICTURE = "drift.png"
N_SEEDS = 5
N_STREAMS = 4
"""Of every training seed."""
DRIFT = DriftConfig(speed=0.5, interactive_share=0.3, period_s=14_400.0)
HOURS = 8.0
FROZEN, WATCHED, ONLINE, POISONED = "as deployed", "watched alone", "going on to learn", "poisoned"
RETRAINED = "trained in it"
VARIANTS = (FROZEN, WATCHED, ONLINE, POISONED, RETRAINED)
N_POINTS = 32
"""Of a curve over a stream."""
TEXT = (
    "Mean objective of the second half of streams of {hours:g} hours in which servers and mix drift, with 95 % intervals "
    "over training seeds. What is recovered is a share of what the deployed agent lacks of one that was trained there."
)


def drifting(config: ExperimentConfig) -> ExperimentConfig:
    """The settings, in a world that drifts."""
    return replace(config, env=replace(balancing(config), drift=DRIFT))


def n_windows(config: ExperimentConfig) -> int:
    """In a stream."""
    return round(HOURS * 3600.0 / (lower_steps_per_window(config) * config.env.dt_s))


def stream(
    config: ExperimentConfig, lower: Actor, env_ids: Sequence[int], setter_of: Callable[[Simulation], ContextSetter]
) -> FloatArray:
    """The objective of every window ``(n_envs, n_windows)`` under a lower agent whose contexts are set by what is made."""
    below, period = simulation(config, "evaluate", env_ids, n_windows(config)), lower_steps_per_window(config)
    below.reset()
    pair = Pair(below.world, lower.start(below.n_rows), setter_of(below), period)
    pair.reset()
    windows = [below.objective(run_window(below, pair, period)) for _ in range(n_windows(config))]
    return np.stack(windows, axis=-1)


def online_config(config: ExperimentConfig, variant: str, seed: int) -> OnlineConfig:
    """How an agent of a variant learns in a stream."""
    if variant == WATCHED:
        never = n_windows(config) + 1
        return OnlineConfig(noise=0.0, learning_starts=never, buffer_size=never, seed=seed)
    return OnlineConfig(seed=seed)


def learning(config: ExperimentConfig, trained: Trained, folder: Path, variant: str) -> tuple[FloatArray, list[int]]:
    """The same with an upper agent that goes on learning, each stream from the deployed agent on; and how often it was
    rolled back in each.
    """
    parts, found, n_rollbacks = parts_of(folder), [], []
    for number in range(N_STREAMS):
        made: list[Online] = []

        def setter(below: Simulation, made: list[Online] = made, number: int = number) -> Online:
            objective = below.world.objective

            def opposite(statistics: Statistics) -> FloatArray:
                return -evaluate(objective, statistics)

            signal = opposite if variant == POISONED else None
            made.append(online_of(trained.config, parts, online_config(config, variant, number), objective, signal))
            return made[0]

        found.append(stream(config, trained.lower, [number], setter))
        n_rollbacks.append(made[0].progress.standing.n_rollbacks)
    return np.concatenate(found), n_rollbacks


class Drifted:
    """A job is a training seed and who sets the contexts."""

    captions = (
        Caption(
            PICTURE, "A world that drifts", "Objective over the hours of a stream, means over streams and training seeds."
        ),
    )

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        folders = trained_folders(folder)[: options.seeds or N_SEEDS]
        jobs = [Job(name, drifting(of_seed(config, one)), one) for one in folders for name in VARIANTS]
        for one in folders:
            below = envs.simulate(config.env, 1, config.seed)
            online_of(config, parts_of(one), OnlineConfig(), below.world.objective)  # or it says why it can not
        return jobs

    def run_job(self, job: Job) -> dict[str, Any]:
        trained, everybody = load(job.folder), range(N_STREAMS)
        n_rollbacks: list[int] = []
        if job.variant in (WATCHED, ONLINE, POISONED):
            windows, n_rollbacks = learning(job.config, trained, job.folder, job.variant)
        else:
            upper = (
                trained.upper
                if job.variant == FROZEN
                else best_candidate(job.config, job.folder, candidates.seeds(job.config)).upper
            )
            windows = stream(job.config, trained.lower, everybody, lambda below: Upper(upper.start(below.n_envs)))
        half = windows[:, windows.shape[1] // 2 :]
        points = np.array_split(windows.mean(0), min(N_POINTS, windows.shape[1]))
        return {
            "objective": float(half.mean()),
            "curve": [float(one.mean()) for one in points],
            "n_rollbacks": n_rollbacks,
        }

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        values = {name: np.array([one["objective"] for one in of_seeds]) for name, of_seeds in results.items()}
        lost = values[RETRAINED] - values[FROZEN]
        return {
            "hours": HOURS,
            "arms": {
                name: {
                    "objective": estimate(values[name]),
                    "minus_deployed": estimate(values[name] - values[FROZEN]),
                    "n_rollbacks": float(np.mean([n for one in of_seeds for n in one["n_rollbacks"]] or [0.0])),
                    "curve": np.mean([one["curve"] for one in of_seeds], axis=0).tolist(),
                }
                for name, of_seeds in results.items()
            },
            "lost": estimate(lost),
            "recovered": recovered(values[ONLINE] - values[FROZEN], lost),
        }

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["upper agent", "objective", "minus the deployed one's", "rolled back, a stream"]]
        for name, one in results["arms"].items():
            minus = "" if name == FROZEN else interval(one["minus_deployed"])
            n_rollbacks = f"{one['n_rollbacks']:.1f}" if name in (WATCHED, ONLINE, POISONED) else ""
            rows.append([name, interval(one["objective"]), minus, n_rollbacks])
        share = results["recovered"]
        said = "what it loses is not told apart from nothing" if share is None else f"{share:.0%} of it is recovered"
        text = f"{TEXT.format(hours=results['hours'])} The deployed agent lacks {interval(results['lost'])}: {said}."
        return [Section("A world that drifts", text, rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        plot_drift({name: one["curve"] for name, one in results["arms"].items()}, results["hours"], folder / PICTURE)


def recovered(gained: FloatArray, lost: FloatArray) -> float | None:
    """Share of what is lost ``(n_seeds,)`` that was gained; None where the interval of what is lost has 0 in it."""
    low, _ = estimate(lost)["ci95"]
    return float(gained.mean() / lost.mean()) if low > 0.0 else None


STUDY = Drifted()
