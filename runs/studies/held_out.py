"""Do the agents hold where nothing was trained or tuned? Another pool, other regime levels, a shorter dwell, a trace.

``python -m runs.studies.held_out DIR [--trace FILE]`` takes the agents and the chosen mixes of every training seed in DIR as
they are, runs them in each held-out world on evaluation seeds, and writes `held_out.json` there: a table per world.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch as th

from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.stories import HELD_OUT
from hierarchy import ablation, lower, results, upper
from hierarchy.ablation import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import LOWER_NAME, MIXES_NAME, UPPER_NAME
from hierarchy.results import Results
from hierarchy.strategies import Sources, with_mixes
from hierarchy.study import seed_folders, side_by_side
from runs.studies.options import balancing, seed_of, study_of

NAME = "held_out.json"


def worlds(trained: LoadBalancingConfig, trace: Path | None) -> dict[str, LoadBalancingConfig]:
    """The held-out worlds by name, made from the one trained in; that of a recording only if there is one.

    An agent acts for as many servers as it was trained with, so a pool of another size is left out.
    """
    variants = {name: variant(trained) for name, variant in HELD_OUT.items()}
    found = {name: world for name, world in variants.items() if world.pool.n_servers == trained.pool.n_servers}
    if trace is not None:
        found["trace"] = replace(trained, workload=replace(trained.workload, arrivals="trace", path=str(trace)))
    return found


def run_world(name: str, config: ExperimentConfig, folder: Path) -> tuple[str, int, Results]:
    """The strategies of one training seed in one world."""
    th.set_num_threads(1)
    agents = Agents(lower.policy_of(lower.load(folder / LOWER_NAME)), upper.load(folder / UPPER_NAME))
    batch = upper.windows(config, agents.lower, "evaluate", [0], 1).batch
    world, n_terms = batch.reports, batch.n_terms
    bare = Sources(n_terms, config.seed, np.zeros(n_terms), None, agents.upper, world.has_context_rule)
    chosen = with_mixes(bare, json.loads((folder / MIXES_NAME).read_text(encoding="utf-8")))
    arms = ablation.run_arms(config, agents, chosen)
    return name, config.seed, results.of_arms(arms, world.metric_names, batch.term_names, name, config.seed)


def run(config: ExperimentConfig, folders: list[Path], trace: Path | None) -> dict[str, Results]:
    """Every training seed in every held-out world; a table of all seeds per world."""
    jobs = []
    for folder in folders:
        seed = seed_of(folder)
        jobs += [
            (name, replace(config, seed=seed, env=env), folder) for name, env in worlds(balancing(config), trace).items()
        ]
    found: dict[str, dict[int, Results]] = {}
    for name, seed, one in side_by_side(jobs, run_world):
        found.setdefault(name, {})[seed] = one
        print(f"{name}, seed {seed}: done", flush=True)
    return {name: results.combined([of_seeds[seed] for seed in sorted(of_seeds)]) for name, of_seeds in found.items()}


if __name__ == "__main__":
    options, config = study_of("held_out", __doc__)
    tables = run(config, seed_folders(options.folder) or [options.folder], options.trace)
    for name, table in tables.items():
        gap = table["gap_closed"]
        print(f"\n{name}\n\n{results.markdown(table)}\n\ngap_closed: {gap}")
        for arm, difference in table["comparisons"].items():
            low, high = difference["ci95"]
            print(f"{arm}: {difference['difference']:+.4f} ({low:+.4f} to {high:+.4f})")
    results.write_json(tables, options.folder / NAME)
