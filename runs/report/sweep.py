"""The page of a sweep: its trials, what matters, and what the objective is along each setting."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hierarchy.config import ExperimentConfig
from hierarchy.storage.files import read_mapping
from hierarchy.sweeping.pictures import draw, objective_of
from hierarchy.sweeping.summary import TRIALS_NAME, SweepResults
from hierarchy.sweeping.sweep import BEST_NAME
from hierarchy.sweeping.tables import space_table, table
from runs.report.section import Section
from runs.report.template import rendered
from runs.settings.space import saved_sweep

TRIALS_TEXT = (
    "Best first. The objective is the mean of a trial's pair on selection seeds that no choice within it has met; no "
    "evaluation seed has been met. The best of many flatters: train {best} under several training seeds before you believe "
    "it. Rungs are candidates for the upper agent that were done before the trial ended."
)
SPACE_TEXT = "What the settings could be; all others are below."


def sweep_page(folder: Path, *, trusts_factory: bool = False) -> str:
    """The page, once pictures are drawn.

    Raises
    ------
    SettingError
        The folder holds no trials yet, or its world has a factory that is not trusted.
    """
    sweep = saved_sweep(folder, trusts_factory=trusts_factory)
    found = read_mapping(folder / TRIALS_NAME)
    results: SweepResults = {name: found[name] for name in SweepResults.__annotations__}  # type: ignore[assignment]
    sections = [
        Section("Trials", TRIALS_TEXT.format(best=BEST_NAME), table(results), str(results["best"])),
        Section("The space", SPACE_TEXT, space_table(sweep.space)),
    ]
    pictures = draw(results, sweep.space, sweep.base, folder)
    return rendered(
        name=folder.resolve().name,
        summary=_summary(results, sweep.preset, sweep.base),
        sections=sections,
        pictures=pictures,
        how=f"Training seed {sweep.base.seed}, {sweep.n_trials} trials wanted.",
        settings=dataclasses.asdict(sweep.base),
    )


def _summary(results: SweepResults, preset: str, base: ExperimentConfig) -> str:
    states = [one["state"] for one in results["trials"]]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return f"Sweep from preset {preset}, objective {objective_of(base)}, {len(states)} trials: {counted}."
