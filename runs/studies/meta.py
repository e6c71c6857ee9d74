"""How soon an agent that learned to learn fits a pool that it has never met.

Of every training seed one agent learns to learn, and another one learns in as many steps in pools that are drawn anew for
every episode. Then pools are drawn that nobody was trained in. In each a fresh agent is trained for as many steps again: it
ends as the specialist. Agents that begin as one of the two are trained as long beside it. All are held against 95 % of the
way from where the fresh one begins to where it ends. An agent is worth its mean reward, contexts drawn as in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.validation import SettingError
from hierarchy.building.lower import build, check_meta
from hierarchy.config import ExperimentConfig
from hierarchy.meta.config import MetaConfig
from hierarchy.protocols import Actor, SavedAgent
from runs.report.section import Caption, Section, interval
from runs.studies.study import Job, Outcome, StudyOptions, estimate
from runs.studies.targets import SHARE, end_of, stays_above
from runs.studies.training import Evaluations

N_SEEDS = 5
N_POOLS = 2
"""Of every training seed."""
N_EVALUATIONS = 40
"""Times that an agent is evaluated while it learns."""
N_ENVS, N_STEPS = 16, 500
"""Episodes, and the steps of each, in which an agent is evaluated."""
FRESH, META, JOINT = "fresh", "learned to learn", "learned in all at once"
TEXT = (
    "Steps in a pool that nobody was trained in, until the mean reward stays above {share:.0%} of the way from where a "
    "fresh agent begins to where it ends. The share is of the steps that the fresh agent takes, in pools where it gains "
    "anything; who never gets there counts with all steps that there were. Where an agent begins and ends is its mean "
    "reward a step above that of the fresh one."
)


def mean_reward(config: ExperimentConfig, actor: Actor) -> float:
    """Of an agent in the world of ``config``, per step, on selection seeds."""
    batch = envs.make(config.env, N_ENVS, config.seed, "select", config.lower.context)
    acting, observation, total = actor.start(batch.n_rows), batch.reset(), 0.0
    for _ in range(N_STEPS):
        observation, reward, terminated, truncated, _ = batch.decide(acting.act(observation))
        total += float(reward.mean())
        over = terminated | truncated
        if over.any():
            observation = batch.reset(None, over)
            acting.reset(over)
    return total / N_STEPS


def source(config: ExperimentConfig) -> SavedAgent:
    """An agent that others begin from, trained as the settings say."""
    learner = build(config)
    learner.learn(config.lower.timesteps)
    return learner.saved("the agent that others begin from")


def curve(config: ExperimentConfig, begins: SavedAgent | None) -> dict[str, list[Any]]:
    """What an agent is worth while it learns in one world: steps and values."""
    learner = build(config)
    if begins is not None:
        learner.begin_from(begins)
    evaluations = Evaluations(lambda: mean_reward(config, learner.actor), config.lower.timesteps // N_EVALUATIONS)
    evaluations.train(learner, config.lower.timesteps)
    return {"steps": evaluations.timesteps, "values": evaluations.values}


class Meta:
    """A job is a training seed."""

    captions: tuple[Caption, ...] = ()

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        if not config.meta.steps:
            raise SettingError("meta.steps", "> 0 for this study", config.meta.steps)
        check_meta(config)
        return [Job(META, replace(config, seed=config.seed + i), folder) for i in range(options.seeds or N_SEEDS)]

    def run_job(self, job: Job) -> list[dict[str, dict[str, list[Any]]]]:
        at_once = replace(job.config, meta=MetaConfig())
        begins = {FRESH: None, META: source(job.config), JOINT: source(at_once)}
        pools = [replace(at_once, env=envs.drawn(job.config.env, job.config.seed, "evaluate", n)) for n in range(N_POOLS)]
        return [{name: curve(pool, saved) for name, saved in begins.items()} for pool in pools]

    def combine(self, results: Mapping[str, Sequence[Any]], config: ExperimentConfig) -> Outcome:
        """Means over the pools of a training seed, then over training seeds."""
        found = [[against_fresh(pool) for pool in of_seed] for of_seed in results[META]]
        return {name: of_all([[pool[name] for pool in of_seed] for of_seed in found]) for name in (FRESH, META, JOINT)}

    def sections(self, results: Outcome) -> list[Section]:
        rows = [
            ["begins as", "begins above", "ends above", "pools where it gets there", "steps", "share of the fresh one's"]
        ]
        for name, one in results.items():
            steps = "never" if one["steps"] is None else f"{one['steps']:,.0f}"
            share = "" if one["share"] is None or name == FRESH else interval(one["share"])
            there = f"{one['n_reached']} of {one['n']}"
            rows.append([name, interval(one["begins"]), interval(one["ends"]), there, steps, share])
        return [Section("Learning to learn", TEXT.format(share=SHARE), rows)]

    def draw(self, results: Outcome, folder: Path) -> None:
        """It leaves no pictures."""


def against_fresh(pool: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, dict[str, float | None]]:
    """By who begins: how far above the fresh agent it begins and ends, steps until it stays above the target, and what share
    that is of the fresh one's; of all steps where it never does, None where the fresh one gains nothing.
    """
    curves = {name: (np.array(one["values"]), one["steps"]) for name, one in pool.items()}
    fresh, fresh_steps = curves[FRESH]
    begin, end = float(fresh[0]), end_of(fresh)
    target = begin + SHARE * (end - begin)
    place_of_fresh = stays_above(fresh, target) if end > begin else None
    found: dict[str, dict[str, float | None]] = {}
    for name, (values, steps) in curves.items():
        place, share = stays_above(values, target) if end > begin else None, None
        if place_of_fresh:
            share = steps[-1 if place is None else place] / fresh_steps[place_of_fresh]
        there = None if place is None else float(steps[place])
        found[name] = {"begins": float(values[0]) - begin, "ends": end_of(values) - end, "steps": there, "share": share}
    return found


def of_all(of_seeds: Sequence[Sequence[Mapping[str, float | None]]]) -> dict[str, Any]:
    """One way to begin over its training seeds, each with several pools."""

    def means(key: str) -> list[float]:
        of_each = [[pool[key] for pool in pools if pool[key] is not None] for pools in of_seeds]
        return [float(np.mean(one)) for one in of_each if one]  # type: ignore[arg-type]  # None is left out

    pools = [pool for one in of_seeds for pool in one]
    steps, shares = means("steps"), means("share")
    return {
        "begins": estimate(np.array(means("begins"))),
        "ends": estimate(np.array(means("ends"))),
        "n": len(pools),
        "n_reached": sum(pool["steps"] is not None for pool in pools),
        "steps": float(np.mean(steps)) if steps else None,
        "share": estimate(np.array(shares)) if shares else None,
        "per_seed": [[dict(pool) for pool in one] for one in of_seeds],
    }


STUDY = Meta()
