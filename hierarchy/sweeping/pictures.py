"""Pictures of a sweep, from what is known of its trials."""

from __future__ import annotations

from pathlib import Path

import envs
from hierarchy.config import ExperimentConfig
from hierarchy.plots.figure import Picture
from hierarchy.plots.sweep import Point, Slice, plot_importances, plot_slices
from hierarchy.sweeping.space import Choices, Range, Space
from hierarchy.sweeping.summary import SweepResults, TrialResult

IMPORTANCES_TEXT = (
    "The share of the objective's variance over the space that each setting explains, by fANOVA on the trials that are "
    "complete. With few trials it is a guess."
)
SLICES_TEXT = (
    "What trials are worth against each setting. Marks of trials that were ended early show their best candidate by then, "
    "on other selection seeds. The best of many flatters: it was the largest."
)


def objective_of(config: ExperimentConfig) -> str:
    """What the objective is called, with its unit."""
    spec = envs.describe(config.env)
    return f"{spec.objective} ({spec.objective_unit})"


def draw(results: SweepResults, space: Space, base: ExperimentConfig, out: Path) -> list[Picture]:
    """Draw what there is to be drawn."""
    pictures = []
    if results["importances"]:
        path = plot_importances(results["importances"], out / "importances.png")
        pictures.append(Picture(path, "What matters", IMPORTANCES_TEXT))
    points = [point for one in results["trials"] if (point := _point(one, space, results["best"])) is not None]
    if points:
        path = plot_slices([_slice(name, space) for name in space], points, objective_of(base), out / "slices.png")
        pictures.append(Picture(path, "Along each setting", SLICES_TEXT))
    return pictures


def _slice(name: str, space: Space) -> Slice:
    one = space[name]
    ticks = tuple(map(str, one.choices)) if isinstance(one, Choices) else ()
    return Slice(name, ticks, isinstance(one, Range) and one.log)


def _point(trial: TrialResult, space: Space, best: int | None) -> Point | None:
    """A trial that is known to be worth anything."""
    *_, last = [None, *trial["rungs"].values()]
    objective = last if trial["objective"] is None else trial["objective"]
    x = [space[name].kept(value) for name, value in trial["values"].items()]
    if objective is None or trial["state"] in ("failed", "running"):
        return None
    known = tuple(one for one in x if one is not None)
    return Point(known, objective, trial["state"] == "complete", trial["number"] == best)
