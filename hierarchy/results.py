"""`results.json`: what an experiment found, in one schema for files, tables and MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hierarchy.ablation import Episodes
from hierarchy.statistics import Comparison, Estimate, GapClosed, block_interval, comparison, estimate, gap_closed

FloatArray = NDArray[np.float64]

SCHEMA = 1
N_SHOWN = 4
"""Metrics in the table of arms."""


class ArmResult(TypedDict):
    """One arm. `context` is the mean mix by reward term, None without a hierarchy."""

    objective: Estimate
    metrics: dict[str, float]
    context: dict[str, float] | None


class LowerResult(TypedDict):
    """Phase 1."""

    timesteps: int
    steps_per_s: float


class UpperResult(TypedDict):
    """Phase 2."""

    meta_steps: int
    lower_steps_per_s: float


class Results(TypedDict):
    """The file; an arm that the world can't define is None."""

    schema: int
    preset: str
    seed: int
    timings_s: dict[str, float]
    lower: LowerResult | None
    upper: UpperResult | None
    arms: dict[str, ArmResult | None]
    comparisons: dict[str, Comparison]
    gap_closed: GapClosed | None


def arm_result(episodes: Episodes, metric_names: tuple[str, ...], term_names: tuple[str, ...]) -> ArmResult:
    """The figures of one arm; metrics are means over its seeds."""
    context = None
    if episodes.contexts is not None:
        mean = episodes.contexts.mean((0, 1))
        context = {name: float(weight) for name, weight in zip(term_names, mean, strict=True)}
    return {
        "objective": estimate(episodes.objective, _trace_interval(episodes.window_objective, episodes, episodes.objective)),
        "metrics": {name: float(episodes.statistics[name].mean()) for name in metric_names},
        "context": context,
    }


def comparisons(arms: dict[str, Episodes | None], ours: str = "td3") -> dict[str, Comparison]:
    """``ours`` against every other arm that there is."""
    mine = arms.get(ours)
    if mine is None:
        return {}
    return {f"{ours}_vs_{name}": _compared(mine, theirs) for name, theirs in arms.items() if theirs and name != ours}


def _compared(ours: Episodes, theirs: Episodes) -> Comparison:
    difference = ours.window_objective - theirs.window_objective
    return comparison(ours.objective, theirs.objective, _trace_interval(difference, ours, ours.objective - theirs.objective))


def _trace_interval(window_values: FloatArray, episodes: Episodes, values: FloatArray) -> list[float] | None:
    """On a trace, the interval over blocks of the recording; None elsewhere."""
    if episodes.recorded_position is None:
        return None
    return block_interval(window_values, episodes.recorded_position, float(values.mean()))


def gap_closed_by(arms: dict[str, Episodes | None], ours: str = "td3") -> GapClosed | None:
    """How much of the delayed oracle's gain over the best fixed mix an arm got."""
    needed = [arms.get(name) for name in (ours, "fixed_best", "delayed_oracle")]
    mine, base, oracle = needed
    if mine is None or base is None or oracle is None:
        return None
    return gap_closed(mine.objective, base.objective, oracle.objective)


def ranked(results: Results) -> list[tuple[str, ArmResult]]:
    """The arms by mean objective, best first."""
    there = [(name, arm) for name, arm in results["arms"].items() if arm is not None]
    return sorted(there, key=lambda item: -item[1]["objective"]["mean"])


def table(results: Results) -> list[list[str]]:
    """The arms, best first, as rows of text below a row of headings; of the metrics the first that the world names."""
    arms = ranked(results)
    shown = list(arms[0][1]["metrics"])[:N_SHOWN]
    rows = [["arm", "objective", "95 % interval", *shown, "mix"]]
    for name, arm in arms:
        low, high = arm["objective"]["ci95"]
        metrics = [f"{arm['metrics'][metric]:#.4g}" for metric in shown]
        mix = " ".join(f"{weight:.2f}" for weight in arm["context"].values()) if arm["context"] else "-"
        rows.append([name, f"{arm['objective']['mean']:.4f}", f"{low:.4f} to {high:.4f}", *metrics, mix])
    return rows


def markdown(results: Results) -> str:
    """The table of arms in Markdown."""
    headings, *rows = table(results)
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def write_json(value: object, path: Path) -> None:
    """Write a file whole or not at all. Non-finite numbers, which JSON does not know, are refused."""
    text = json.dumps(value, indent=2, allow_nan=False, default=_plain)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"results must be plain values, got {type(value).__name__}")
