"""Trained agents, and mixes chosen before, in a world that they were not trained in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch as th

from hierarchy.arms import ablation
from hierarchy.arms.ablation import Agents
from hierarchy.arms.episodes import Advance, nothing
from hierarchy.arms.strategies import Sources, with_mixes
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.results import Results
from hierarchy.experiment import MIXES_NAME, Experiment, NotTrainedError, saved_agents
from hierarchy.study import seed_of, side_by_side, trained_folders
from hierarchy.tracking.progress import Silent
from hierarchy.upper import agent as upper


def evaluate_seed(config: ExperimentConfig, folder: Path, name: str, progress: Advance = nothing) -> Results:
    """The strategies of one training seed, and the rules of the world, on evaluation seeds.

    Agents and mixes are those of the folder, whatever world ``config`` describes. A table for other regimes and an action of
    another shape say nothing there and are left out.

    Raises
    ------
    NotTrainedError
        An agent or the mixes are missing, or don't fit the world.
    """
    th.set_num_threads(config.threads)
    policy, upper_agent = saved_agents(Experiment(config, folder, name, Silent()))
    mixes = folder / MIXES_NAME
    if not mixes.is_file():
        raise NotTrainedError(f"folder must hold {MIXES_NAME} (made by ablate), got {folder}")
    agents = Agents(policy, upper_agent)
    batch = upper.batch(config, "evaluate", [0], 1)
    world = batch.reports
    bare = Sources(batch.n_terms, config.seed, np.zeros(batch.n_terms), None, upper_agent, world.has_context_rule)
    chosen = with_mixes(bare, json.loads(mixes.read_text(encoding="utf-8")))
    if chosen.table is not None and len(chosen.table) != world.n_regimes:
        chosen = replace(chosen, table=None)
    if chosen.constant is not None and chosen.constant.shape != batch.action_space.shape:
        chosen = replace(chosen, constant=None)
    arms = ablation.run_arms(config, agents, chosen, progress)
    return results.of_arms(arms, world.metric_names, batch.term_names, name, config.seed)


def _evaluate_named(name: str, config: ExperimentConfig, folder: Path) -> tuple[str, int, Results]:
    return name, config.seed, evaluate_seed(config, folder, name)


def evaluate_worlds(worlds: dict[str, ExperimentConfig], folder: Path) -> Iterator[tuple[str, Results]]:
    """Every training seed of a folder in every world, side by side; a table of all seeds per world."""
    folders = trained_folders(folder)
    jobs = [
        (name, replace(config, seed=seed_of(seed_folder)), seed_folder)
        for seed_folder in folders
        for name, config in worlds.items()
    ]
    found: dict[str, dict[int, Results]] = {}
    alone = (_evaluate_named(*job) for job in jobs)
    for name, seed, one in side_by_side(jobs, _evaluate_named) if len(jobs) > 1 else alone:
        of_seeds = found.setdefault(name, {})
        of_seeds[seed] = one
        if len(of_seeds) == len(folders):
            yield name, results.combined([of_seeds[seed] for seed in sorted(of_seeds)])
