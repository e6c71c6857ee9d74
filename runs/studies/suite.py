"""Who does well everywhere: all arms in many worlds, each under several objectives.

Everything is trained and tuned in every cell, a world under an objective, by the same budget. The lower agent is trained
once a world and training seed, for profit; under other objectives an upper agent of its own is trained over it. Rules are
tuned in every cell, and stand there a second time with the numbers that were found for them in the default world.

Regret is what an arm lacks of the best arm of its cell, chosen in hindsight on the evaluation seeds, in units of what is at
stake there: from the mean of the balancing rules, which have all servers on, to the best. Finished cells are kept: a suite
that is run again goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import envs
from envs.core.arrays import FloatArray
from envs.load_balancing.config import LoadBalancingConfig, Trace
from envs.load_balancing.rules import RULES
from envs.load_balancing.rules.balancing import BALANCING
from envs.load_balancing.stories import SUITE, Variant, prices_doubled, slo, unchanged
from hierarchy.arms.ablation import read_found
from hierarchy.arms.balancing import configured, start_balancing
from hierarchy.arms.jobs import nothing
from hierarchy.arms.running import on_evaluation_seeds, play
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.arms import BEST_RULE, GATED
from hierarchy.evidence.results import Results, combined
from hierarchy.evidence.statistics import interval as over_units
from hierarchy.executors import executor, in_order
from hierarchy.plots.regret import plot_regret
from hierarchy.plots.style import LEARNED
from hierarchy.storage import agents
from hierarchy.storage.folder import OutputFolder, seed_folder
from hierarchy.storage.trained import config_of
from hierarchy.study import run_seed
from runs.report.section import Caption, Section, interval, verdict
from runs.settings.experiment import preset_config
from runs.studies.study import Job, Outcome, StudyOptions, balancing

PICTURE = "suite.png"
CAPTION = "Regret of every arm (rows) in every cell, 0 where it is the best of all; averages over training seeds."
N_SEEDS = 3
PROFIT, DEFAULT = "profit", "default"
ELSEWHERE = "{} as in default"
"""An arm with the numbers that were found in the default world."""
LEAST_STAKES = 1e-9
SHOWN = (GATED, LEARNED, "fixed_best", *(name for name, rule in RULES.items() if rule.has_numbers))
"""Arms in the table of cells."""
TEXT = (
    "Regret is what an arm lacks of the best arm of its cell, in units of what is at stake there: from the mean of the "
    "balancing rules, with all servers on, to the best. Intervals are over cells and training seeds."
)


Cells = tuple[Path, int, dict[str, Results]]
"""The suite's folder, a training seed, and its results in one world by objective."""


OBJECTIVES: dict[str, Variant] = {PROFIT: unchanged, "slo": slo, "prices_doubled": prices_doubled}
"""What the worlds are run for."""


def worlds(base: LoadBalancingConfig, traces: Sequence[Path]) -> dict[str, LoadBalancingConfig]:
    """The worlds by name, made from one, then one of every recording, whose requests are those of the preset `recording`."""
    made = {name: variant(base) for name, variant in SUITE.items()}
    heavy = balancing(preset_config("recording")).workload if traces else base.workload
    for trace in traces:
        made[trace.stem] = replace(base, workload=replace(heavy, arrivals=Trace(path=str(trace))))
    return made


def cell_folder(folder: Path, world: str, objective: str, seed: int) -> Path:
    """Where a training seed of a cell is kept, as a single experiment would be."""
    return seed_folder(folder / "suite" / world / objective, seed)


def run_cells(config: ExperimentConfig, folder: Path, world: str) -> dict[str, Results]:
    """One training seed of a world under every objective."""
    first = cell_folder(folder, world, PROFIT, config.seed)
    found = {PROFIT: run_seed(config, first, "suite", None)}
    trained = balancing(config_of(first))
    for name, changed in OBJECTIVES.items():
        if name != PROFIT:
            out = cell_folder(folder, world, name, config.seed)
            if not OutputFolder(out).agent("lower").is_file():
                agents.copy(OutputFolder(first).agent("lower"), OutputFolder(out).agent("lower"))
            found[name] = run_seed(replace(config, env=changed(trained)), out, "suite", None)
    return found


def transferred(folder: Path, world: str, objective: str, seed: int) -> dict[str, list[float]]:
    """Rules with the numbers of the default world, in a cell: the objective on its evaluation seeds, by rule."""
    config = config_of(cell_folder(folder, world, objective, seed))
    numbers = read_found(config, OutputFolder(cell_folder(folder, DEFAULT, objective, seed)).found)
    rules = [name for name, rule in envs.rules(config.env).items() if rule.has_numbers and name in numbers]
    values = {}
    for name in rules:
        batch = on_evaluation_seeds(config, configured(name, config.env))
        episodes = play(config, Agents(), {name: numbers[name]}, partial(start_balancing, name), batch)
        values[name] = episodes.objective.tolist()
    return values


def objectives_of(results: Results, elsewhere: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Mean objective of every arm of a training seed of a cell, those with numbers from elsewhere included."""
    arms = {name: arm["objective"]["mean"] for name, arm in results["arms"].items() if arm is not None}
    return arms | {ELSEWHERE.format(name): float(np.mean(values)) for name, values in elsewhere.items()}


def regrets_of(of_seeds: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Regret of every arm of a cell by training seed, given its objectives; best arm and stakes are those of means."""
    names = [name for name in of_seeds[0] if all(name in one for one in of_seeds)]
    values = np.array([[one[name] for name in names] for one in of_seeds])  # (n_seeds, n_arms)
    means = values.mean(0)
    all_on = np.mean([means[names.index(name)] for name in BALANCING if name in names])
    best = int(means.argmax())
    stakes = max(float(means[best] - all_on), LEAST_STAKES)
    regrets = (values[:, [best]] - values) / stakes
    return {name: regrets[:, place].tolist() for place, name in enumerate(names)}


def aggregate(cells: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, Any]]:
    """Mean regret of every arm that is in all cells, with its t interval over cells and training seeds, the least first."""
    names = [name for name in next(iter(cells.values())) if all(name in of_arms for of_arms in cells.values())]
    means: dict[str, dict[str, Any]] = {}
    for name in names:
        values: FloatArray = np.array([of_arms[name] for of_arms in cells.values()])  # (n_cells, n_seeds)
        mean = float(values.mean())
        means[name] = {"mean": mean, "ci95": over_units(mean, [values.mean(1), values.mean(0)])}
    return dict(sorted(means.items(), key=lambda one: one[1]["mean"]))


def of_cell(of_seeds: Sequence[Results], elsewhere: Sequence[Mapping[str, Sequence[float]]]) -> Outcome:
    """One cell over its training seeds: objectives, regrets, and what was deployed against the best rule."""
    objectives = [objectives_of(one, other) for one, other in zip(of_seeds, elsewhere, strict=True)]
    table = combined(list(of_seeds))
    return {
        "objective": {name: float(np.mean([one[name] for one in objectives])) for name in objectives[0]},
        "regret": regrets_of(objectives),
        "gated_vs_best_rule": table["comparisons"].get(f"{GATED}_vs_{BEST_RULE}"),
        "verdict": verdict(table, GATED) if f"{GATED}_vs_{BEST_RULE}" in table["comparisons"] else "",
    }


class Suite:
    """A job is a world and a training seed; that of the default world comes first."""

    captions = (Caption(PICTURE, "Regret by world and objective", CAPTION),)

    def jobs(self, config: ExperimentConfig, folder: Path, options: StudyOptions) -> list[Job]:
        seeds = [config.seed + i for i in range(options.seeds or N_SEEDS)]
        made = worlds(balancing(config), options.traces)
        return [Job(name, replace(config, env=env, seed=seed), folder) for name, env in made.items() for seed in seeds]

    def run_job(self, job: Job) -> Cells:
        return job.folder, job.config.seed, run_cells(job.config, job.folder, job.variant)

    def combine(self, results: Mapping[str, Sequence[Cells]], config: ExperimentConfig) -> Outcome:
        cells = [(world, objective) for world in results for objective in OBJECTIVES]
        jobs = [(folder, world, name, seed) for world, name in cells for folder, seed, _ in results[world]]
        with executor(config.executor, 1, len(jobs) > 1) as workers:
            elsewhere = dict(zip(jobs, in_order(workers, transferred, jobs, nothing), strict=True))
        outcome = {
            f"{world}, {name}": of_cell(
                [of_seed[name] for _, _, of_seed in results[world]],
                [elsewhere[folder, world, name, seed] for folder, seed, _ in results[world]],
            )
            for world, name in cells
        }
        return {"cells": outcome, "aggregate": aggregate({name: cell["regret"] for name, cell in outcome.items()})}

    def sections(self, results: Outcome) -> list[Section]:
        return [_aggregate_section(results), _cells_section(results)]

    def draw(self, results: Outcome, folder: Path) -> None:
        plot_regret(results, folder / PICTURE)


def _aggregate_section(results: Outcome) -> Section:
    n_cells = len(results["cells"])
    rows = [["arm", "mean regret", "worst cell", "regret there", "cells where it is best"]]
    for name, mean in results["aggregate"].items():
        of_cells = {cell: float(np.mean(one["regret"][name])) for cell, one in results["cells"].items()}
        worst = max(of_cells, key=lambda cell: of_cells[cell])
        n_best = sum(regret <= 0.0 for regret in of_cells.values())
        rows.append([name, interval(mean), worst, f"{of_cells[worst]:.3f}", f"{n_best} of {n_cells}"])
    return Section("Regret over all worlds and objectives", TEXT, rows, GATED)


def _cells_section(results: Outcome) -> Section:
    shown = [name for name in results["aggregate"] if name in SHOWN]
    rows = [["world, objective", "best arm", *shown, f"{GATED} minus best rule", "verdict"]]
    for cell, one in results["cells"].items():
        best = max(one["objective"], key=lambda name: one["objective"][name])
        compared = one["gated_vs_best_rule"]
        difference = "" if compared is None else interval(compared, "difference")
        rows.append([cell, best, *[f"{np.mean(one['regret'][name]):.3f}" for name in shown], difference, one["verdict"]])
    text = "Means over training seeds; the difference is in the unit of the objective."
    return Section("Regret by world and objective", text, rows)


STUDY = Suite()
