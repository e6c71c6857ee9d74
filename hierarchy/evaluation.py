"""Trained agents, and numbers found before, in a world that they were not trained or tuned in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch as th

import envs
from hierarchy.arms import ablation, arms_of
from hierarchy.arms.ablation import Ablation
from hierarchy.arms.arm import Arm
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.results import Results
from hierarchy.executors import Executor, executor
from hierarchy.executors.inline import Inline
from hierarchy.phases.checks import check_experiment, notes
from hierarchy.phases.tuning import of_seed
from hierarchy.storage.agents import lower_of, upper_of
from hierarchy.storage.bundle import parts_of
from hierarchy.storage.folder import NotTrainedError, trained_folders


def evaluate_seed(config: ExperimentConfig, path: Path, name: str, workers: Executor | None = None) -> Results:
    """The arms of one training seed on evaluation seeds, as far as they say anything in the world of ``config``.

    Agents and what was found for arms are those of the folder, whatever world ``config`` describes. A table for other
    regimes and an action of another shape are left out.

    Raises
    ------
    NotTrainedError
        An agent or what was found is missing, or doesn't fit the world.
    """
    th.set_num_threads(config.threads)
    spec, parts = envs.describe(config.env), parts_of(path)
    agents = Agents(lower_of(parts.lower, config), upper_of(parts.upper, config))
    if not parts.found:
        raise NotTrainedError(
            "folder", f"one that holds {parts.found_in.name} with what was found for arms (made by ablate)", path
        )
    found = ablation.from_json(config, parts.found, parts.found_in)

    def plays(arm: Arm) -> bool:
        """What needs something runs if it was found, whether settings ask for it now or not."""
        return all(need.name in found for need in arm.needs) if arm.needs else arm.wanted(config, spec)

    config = replace(config, ablation=replace(config.ablation, flat=False))
    arms = {arm_name: arm for arm_name, arm in arms_of(config.env).items() if plays(arm)}
    episodes = Ablation(config, agents, workers or Inline()).play(arms, found)
    figures = results.of_arms(episodes, ablation.facts_of(config), spec, name, config.seed)
    return {**figures, "found": ablation.of_results(found)}


def evaluate_folder(config: ExperimentConfig, out: Path, name: str = "") -> Results:
    """Every training seed of a folder in the world of ``config``, side by side, and one table of them.

    Raises
    ------
    ValueError
        The world can't be made, or agents don't fit it; one line.
    """
    check_experiment(config)
    folders = trained_folders(out)
    seeds = [(of_seed(config, folder), folder, name) for folder in folders]
    with executor(config.executor, config.threads) as workers:
        if len(seeds) == 1:
            of_seeds = [evaluate_seed(*seeds[0], workers)]
        else:
            of_seeds = [job.result() for job in [workers.submit(evaluate_seed, *seed) for seed in seeds]]
    return {**results.combined(of_seeds), "notes": list(notes(config))}
