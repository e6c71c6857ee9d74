"""`results.json`: what an experiment found, in one schema for files, tables and MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.spec import WorldSpec
from envs.core.validation import SettingError
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.statistics import Comparison, Estimate, GapClosed, block_interval, comparison, estimate, gap_closed
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import OutputFolder

SCHEMA = 2
N_SHOWN = 4
"""Metrics in the table of arms."""


Kind = Literal["learned", "mix", "oracle", "unmixed", "rule"]
"""Who sets the mix of an arm: a learned agent, the arm itself, an oracle; none is set, or nothing learns."""


class Facts(NamedTuple):
    """What is known of an arm before it runs."""

    kind: Kind
    algorithm: str | None = None  # that an agent of its own was trained by


class ArmResult(TypedDict):
    """One arm. `context` is the mean mix by reward term, None without a hierarchy; `algorithm` trained its own agent."""

    kind: Kind
    algorithm: str | None
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
    """The file; an arm without a use here or not wanted is None. `ablation` holds the settings of the comparison."""

    schema: int
    preset: str
    seed: int
    training_seeds: list[int]
    timings_s: dict[str, float]
    lower: LowerResult | None
    upper: UpperResult | None
    ablation: dict[str, Any]
    arms: dict[str, ArmResult | None]
    comparisons: dict[str, Comparison]
    gap_closed: GapClosed | None
    found: dict[str, dict[str, Any]]


def arm_result(episodes: Episodes, facts: Facts, spec: WorldSpec) -> ArmResult:
    """The figures of one arm; metrics are means over its seeds."""
    context = None
    if episodes.contexts is not None:
        mean = episodes.contexts.mean((0, 1))
        context = {name: float(weight) for name, weight in zip(spec.terms, mean, strict=True)}
    return {
        "kind": facts.kind,
        "algorithm": facts.algorithm,
        "objective": estimate(
            episodes.objective[None], _trace_interval(episodes.window_objective, episodes, episodes.objective)
        ),
        "metrics": {name: float(episodes.statistics[name].mean()) for name in spec.metrics},
        "context": context,
    }


def of_arms(
    arms: Mapping[str, Episodes | None], facts: Mapping[str, Facts], spec: WorldSpec, preset: str = "", seed: int = 0
) -> Results:
    """What one training seed's arms show; times and phases are for the caller to fill in."""
    return {
        "schema": SCHEMA,
        "preset": preset,
        "seed": seed,
        "training_seeds": [seed],
        "timings_s": {},
        "lower": None,
        "upper": None,
        "ablation": {},
        "arms": {name: None if arm is None else arm_result(arm, facts[name], spec) for name, arm in arms.items()},
        "comparisons": comparisons(arms),
        "gap_closed": gap_closed_by(arms),
        "found": {},
    }


def comparisons(arms: Mapping[str, Episodes | None], ours: str = "learned") -> dict[str, Comparison]:
    """``ours`` against every other arm that there is."""
    mine = arms.get(ours)
    if mine is None:
        return {}
    return {f"{ours}_vs_{name}": _compared(mine, theirs) for name, theirs in arms.items() if theirs and name != ours}


def _compared(ours: Episodes, theirs: Episodes) -> Comparison:
    difference = ours.window_objective - theirs.window_objective
    interval = _trace_interval(difference, ours, ours.objective - theirs.objective)
    return comparison(ours.objective[None], theirs.objective[None], interval)


def _trace_interval(window_values: FloatArray, episodes: Episodes, values: FloatArray) -> list[float] | None:
    """On a trace, the interval over blocks of the recording; None elsewhere."""
    if episodes.recorded_position is None:
        return None
    return block_interval(window_values, episodes.recorded_position, float(values.mean()))


def gap_closed_by(arms: Mapping[str, Episodes | None], ours: str = "learned") -> GapClosed | None:
    """How much of the delayed oracle's gain over the best fixed mix an arm got."""
    needed = [arms.get(name) for name in (ours, "fixed_best", "delayed_oracle")]
    mine, base, oracle = needed
    if mine is None or base is None or oracle is None:
        return None
    return gap_closed(mine.objective[None], base.objective[None], oracle.objective[None])


def why_no_gap(results: Results) -> str:
    """Why there is no `gap_closed`."""
    if results["arms"].get("delayed_oracle") is None:
        return "no oracle was told regimes: it must be asked for, in a world that has some"
    return "the delayed oracle is not clearly apart from the best fixed mix"


def combined(results: Sequence[Results]) -> Results:
    """One table of experiments that differ in their training seed only: the training seed is the unit from here on.

    Times are sums, speeds and metrics means. An arm that any of them lacks is None.
    """
    first = results[0]
    there = [name for name in first["arms"] if all(one["arms"].get(name) is not None for one in results)]
    values = {name: np.array([_arm(one, name)["objective"]["per_seed"] for one in results]) for name in there}
    return {
        **first,
        "training_seeds": [seed for one in results for seed in one["training_seeds"]],
        "found": first["found"] if len(results) == 1 else {},
        "timings_s": _sums([one["timings_s"] for one in results]),
        "lower": _mean([one["lower"] for one in results]),
        "upper": _mean([one["upper"] for one in results]),
        "arms": {
            name: {
                "kind": _arm(first, name)["kind"],
                "algorithm": _arm(first, name)["algorithm"],
                "objective": estimate(values[name]),
                "metrics": _mean([_arm(one, name)["metrics"] for one in results]),
                "context": _mean([_arm(one, name)["context"] for one in results]),
            }
            if name in values
            else None
            for name in first["arms"]
        },
        "comparisons": {
            f"learned_vs_{name}": comparison(values["learned"], values[name])
            for name in there
            if "learned" in values and name != "learned"
        },
        "gap_closed": gap_closed(values["learned"], values["fixed_best"], values["delayed_oracle"])
        if {"learned", "fixed_best", "delayed_oracle"} <= values.keys()
        else None,
    }


def _arm(results: Results, name: str) -> ArmResult:
    arm = results["arms"][name]
    assert arm is not None
    return arm


def _sums(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Sums by key; a key that only some have counts all the same."""
    return {key: sum(part.get(key, 0.0) for part in parts) for key in dict.fromkeys(key for part in parts for key in part)}


def _mean(parts: Sequence[Any]) -> Any:
    """The mean of dictionaries of figures, key by key; None where any of them is missing."""
    if any(part is None for part in parts):
        return None
    return {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}


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


def read(folder: Path) -> Results | None:
    """The results that a folder holds, if any.

    Raises
    ------
    SettingError
        They are of another schema.
    """
    path = OutputFolder(folder).results
    if not path.is_file():
        return None
    results: Results = read_json(path)
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise SettingError(
            path.name, f"of schema {SCHEMA}", f"{schema}: {path} was written by another version, ablate again"
        )
    return results


def of_this_version(folder: Path) -> Results | None:
    """The results that a folder holds, unless another version wrote them: what can be made anew is no obstacle."""
    try:
        return read(folder)
    except SettingError:
        return None
