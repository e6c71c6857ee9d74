"""What a hierarchy is for: another objective after training.

The agents of training seeds are given another objective, or other prices. Over the frozen lower agent a fresh upper agent is
trained; the agent without a hierarchy goes on training from where it was. Both are evaluated on selection seeds while they
learn, and the study says how many simulated lower steps and seconds each takes until it stays above one common target: 95 %
of the way from where the worse of both began to where the better one ended. That may be never. Final figures are from
evaluation seeds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.rng import Role
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.stories import Variant, slo
from hierarchy.arms import flat
from hierarchy.arms.beginnings import beginnings
from hierarchy.arms.fixed import find_best
from hierarchy.arms.flat import start_flat
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, StartFunction, play
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.building.candidates import fitting_steps
from hierarchy.building.memory import fitted
from hierarchy.building.upper import Beginning, build
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import ArmResult, Facts, arm_result, combined_arm, compared
from hierarchy.evidence.episodes import Episodes
from hierarchy.executors.inline import Inline
from hierarchy.nets.window_memory import WindowMemory
from hierarchy.phases import candidate
from hierarchy.phases.tuning import of_seed
from hierarchy.plots.adaptation import ARMS, plot_adaptation
from hierarchy.plots.style import LEARNED
from hierarchy.protocols import Actor, Learner
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import OutputFolder, seed_folders
from hierarchy.storage.saved import read_saved
from hierarchy.upper.config import OffPolicyConfig
from runs.report.section import Caption, Section, interval
from runs.studies.study import Job, Outcome, StudyOptions, balancing
from runs.studies.targets import stays_above, target_of
from runs.studies.training import Evaluations

PICTURE = "adaptation.png"
CAPTION = (
    "Thin lines are training seeds. A mark is where one has come above the common target of its seed for good; a line "
    "without one never did."
)
N_SEEDS = 5
N_EVALUATIONS = 40
"""Times that an agent is evaluated while it learns."""
LEARNING_STARTS_SHARE = 0.1
"""Share of the usual random start: a fresh upper agent has one task to find, and soon."""
META_STEPS_SHARE = 0.5
"""Share of the usual meta steps."""
SELECT_SEEDS = 8
LEARNS = Facts("learned")


def heat_wave(world: LoadBalancingConfig) -> LoadBalancingConfig:
    """Meters are worth ten times as much and must be neither late nor lost, the fast server costs a third."""
    workload, pool = world.workload, world.pool
    value_usd = workload.batch.value_usd
    batch = replace(workload.batch, value_usd=10 * value_usd, penalty_usd=4 * value_usd, loss_usd=12 * value_usd)
    cheaper = [pool.price_usd_per_h[0] / 3, *pool.price_usd_per_h[1:]]
    return replace(world, workload=replace(workload, batch=batch), pool=replace(pool, price_usd_per_h=cheaper))


CHANGES: dict[str, Variant] = {"slo": slo, "prices": heat_wave}


def adapt(
    config: ExperimentConfig, learner: Learner, n_steps: int, steps_per_timestep: int, start: StartFunction, agents: Agents
) -> dict[str, Any]:
    """Train an agent for ``n_steps`` of ``steps_per_timestep`` lower steps each, and evaluate it as one of ``agents``."""
    settings = config.ablation

    def met(role: Role, seeds: Sequence[int], n_windows: int) -> Episodes:
        return play(config, agents, {}, start, Batch(config.env, role, seeds, n_windows))

    def value() -> float:
        return float(met("select", seeds_of(config), settings.select_windows).objective.mean())

    evaluations = Evaluations(value, n_steps // N_EVALUATIONS)
    evaluations.train(learner, n_steps)
    final = met("evaluate", range(settings.n_seeds), settings.episode_windows)
    return {
        "lower_steps": [steps * steps_per_timestep for steps in evaluations.timesteps],
        "seconds": evaluations.seconds,
        "values": evaluations.values,
        "final": arm_result(final, LEARNS, envs.describe(config.env)),
    }


def seeds_of(config: ExperimentConfig) -> Sequence[int]:
    """Selection seeds on which an agent is watched while it adapts: nobody begins with anything that was found on them."""
    return candidate.seeds_of(config)[:SELECT_SEEDS]


def quick(config: ExperimentConfig) -> ExperimentConfig:
    """Shorter training of one upper agent, with a shorter random start if it has one."""
    usual = config.upper
    upper = replace(usual, meta_steps=max(usual.n_envs, round(META_STEPS_SHARE * usual.meta_steps)), candidates=1)
    if isinstance(upper, OffPolicyConfig):
        upper = replace(upper, learning_starts=round(LEARNING_STARTS_SHARE * upper.learning_starts))
    return replace(config, upper=upper)


def adapt_upper(config: ExperimentConfig, lower: Actor) -> dict[str, Any]:
    """A fresh upper agent over the frozen lower one."""
    config, began_s = quick(config), time.perf_counter()
    memory = fitted(config, lower)
    begins, n_raced = beginning(config, lower, memory)
    learner = build(config, lower, beginning=begins, memory=memory)
    raced_s = time.perf_counter() - began_s
    period = lower_steps_per_window(config)
    adapted = adapt(config, learner, config.upper.meta_steps, period, start_learned, Agents(lower, upper=learner.actor))
    steps, seconds = adapted["lower_steps"], adapted["seconds"]
    return adapted | {"lower_steps": [n_raced + n for n in steps], "seconds": [raced_s + s for s in seconds]}


def beginning(config: ExperimentConfig, lower: Actor, memory: WindowMemory | None = None) -> tuple[Beginning | None, int]:
    """What an upper agent begins with, if with anything that is found first, and lower steps that finding it took, those of
    what its memory was fitted to among them.
    """
    n_fitted = fitting_steps(config)
    if not config.upper.from_fixed_best:
        return None, n_fitted
    selection = Selection(config, envs.describe(config.env), Agents(lower), Jobs(Inline()))
    *_, last = beginnings(config, selection.spec, find_best(selection), memory)
    return last, n_fitted + selection.n_steps


def adapt_flat(config: ExperimentConfig, path: Path, lower: Actor) -> dict[str, Any]:
    """The agent without a hierarchy, going on from what it has learned for as long as a hierarchy with one candidate; its
    optimiser begins anew.
    """
    learner = flat.build(config)
    learner.begin_from(read_saved(path))
    n_steps = flat.timesteps(replace(config, upper=replace(config.upper, candidates=1)))
    return adapt(config, learner, n_steps, 1, start_flat, Agents(lower, flat=learner.actor))


def with_target(of_seed: Mapping[str, Any]) -> dict[str, Any]:
    """A training seed with the common target of its arms, and by arm with what it took to stay above it; None for never."""
    curves = {arm: np.array(of_seed[arm]["values"]) for arm in ARMS}
    target = target_of(list(curves.values()))
    places = {arm: stays_above(curve, target) for arm, curve in curves.items()}
    taken = {
        arm: None if place is None else {key: of_seed[arm][key][place] for key in ("lower_steps", "seconds", "values")}
        for arm, place in places.items()
    }
    return {"target": target, **{arm: {**of_seed[arm], "reached": taken[arm]} for arm in ARMS}}


def _of_arm(one: Sequence[dict[str, float] | None], final: ArmResult) -> dict[str, Any]:
    """How many training seeds got there, and means over those that did."""
    there = [taken for taken in one if taken is not None]
    means = {key: float(np.mean([taken[key] for taken in there])) if there else None for key in ("lower_steps", "seconds")}
    return {"n_reached": len(there), "n": len(one), **means, "final": final["objective"]["mean"]}


def summary(of_seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """One change over its training seeds; the share of steps only where both arms got there with every seed."""
    per_seed = [with_target(one) for one in of_seeds]
    finals = [{arm: one[arm]["final"] for arm in ARMS} for one in of_seeds]
    arms = {arm: _of_arm([one[arm]["reached"] for one in per_seed], combined_arm(finals, arm)) for arm in ARMS}
    everywhere = all(arm["n_reached"] == arm["n"] for arm in arms.values())
    share = arms[LEARNED]["lower_steps"] / max(arms["flat"]["lower_steps"], 1.0) if everywhere else None
    return {
        "arms": arms,
        "share_of_flat_steps": share,
        "learned_minus_flat": compared(finals, LEARNED, "flat"),
        "per_seed": per_seed,
    }


class Adaptation:
    """A job is a change and a training seed."""

    captions = (Caption(PICTURE, "Another objective after training", CAPTION),)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        folders = [one for one in seed_folders(folder) if OutputFolder(one).agent("flat").is_file()][
            : options.seeds or N_SEEDS
        ]
        seeds = [of_seed(config, one) for one in folders]
        return [
            Job(name, replace(of, env=CHANGES[name](balancing(of))), one)
            for of, one in zip(seeds, folders, strict=True)
            for name in CHANGES
        ]

    def run_job(self, job: Job) -> dict[str, Any]:
        folder = OutputFolder(job.folder)
        lower = load_lower(folder, job.config)
        return {LEARNED: adapt_upper(job.config, lower), "flat": adapt_flat(job.config, folder.agent("flat"), lower)}

    def combine(self, results: Mapping[str, Sequence[dict[str, Any]]], config: ExperimentConfig) -> Outcome:
        return {change: summary(list(of_seeds)) for change, of_seeds in results.items()}

    def sections(self, results: Outcome) -> list[Section]:
        rows = [["change", "arm", "seeds above the target", "lower steps", "seconds", "final objective"]]
        text = "A fresh upper agent over the frozen lower one, against an agent without a hierarchy that goes on learning. "
        for change, one in results.items():
            for arm, figures in one["arms"].items():
                there = f"{figures['n_reached']} of {figures['n']}"
                steps = "never" if figures["lower_steps"] is None else f"{figures['lower_steps']:,.0f}"
                seconds = "never" if figures["seconds"] is None else f"{figures['seconds']:.1f}"
                rows.append([change, arm, there, steps, seconds, f"{figures['final']:.3f}"])
            share = one["share_of_flat_steps"]
            text += f"{change}: " + ("" if share is None else f"{share:.2f} of the steps; ")
            text += f"{LEARNED} - flat {interval(one['learned_minus_flat'], 'difference')}. "
        return [Section("Another objective after training", text, rows, LEARNED)]

    def draw(self, results: Outcome, folder: Path) -> None:
        plot_adaptation(results, folder / PICTURE)


STUDY = Adaptation()
