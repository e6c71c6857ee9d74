"""What an experiment's settings and results look like in sinks and on pictures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import envs
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results, tables
from hierarchy.evidence.arms import BEST_RULE, OURS, ArmResult
from hierarchy.evidence.results import Results
from hierarchy.plots.figure import Labels
from hierarchy.protocols import Source
from hierarchy.storage.agents import BEGUN_FROM
from hierarchy.tracking.sinks import Shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def parameters(config: DataclassInstance, prefix: str = "") -> dict[str, str]:
    """Every setting of a tree of dataclasses, by its dotted name."""
    out: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = f"{prefix}{field.name}"
        nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
        out |= parameters(value, f"{name}.") if nested else {name: str(value)}
    return out


def origin_tags(source: Source | None) -> dict[str, str]:
    """Where the agent is from that one begins as, if one does: `begun_from` and what it is, by the names of its origin."""
    if source is None:
        return {}
    path, *rest = ((name, value) for name, value in source.origin.items() if value is not None)
    return {BEGUN_FROM: str(path[1]), **{f"{BEGUN_FROM}_{name}": str(value) for name, value in rest}}


def arm_parameters(arm: ArmResult) -> dict[str, str]:
    """The mean context, which a comparison of arms draws against their metrics."""
    return {f"context/{name}": f"{weight:.3f}" for name, weight in (arm["context"] or {}).items()}


def arm_metrics(arm: ArmResult) -> dict[str, float]:
    """The figures of an arm, flat."""
    low, high = arm["objective"]["ci95"]
    values = {"objective": arm["objective"]["mean"], "objective_ci95_low": low, "objective_ci95_high": high}
    costs = {f"cost/{name}": one["cost"]["mean"] for name, one in arm["constraints"].items()}
    return values | arm["metrics"] | costs


def parent_metrics(whole: Results) -> dict[str, float]:
    """All final figures in one place, so that experiments compare in one table."""
    values = {f"objective/{name}": arm["objective"]["mean"] for name, arm in whole["arms"].items() if arm is not None}
    against = f"{OURS}_vs_{BEST_RULE}"
    if against in whole["comparisons"]:
        values[against] = whole["comparisons"][against]["difference"]
    if whole["gap_closed"] is not None:
        values["gap_closed"] = whole["gap_closed"]["mean"]
    return values | {f"timings_s/{phase}": seconds for phase, seconds in whole["timings_s"].items()}


def shown(whole: Results) -> Shown:
    """What a table of arms shows beside the objective."""
    _, best = results.ranked(whole)[0]
    contexts = next((arm_parameters(arm) for arm in whole["arms"].values() if arm and arm["context"]), {})
    return Shown(tuple(contexts), tuple(best["metrics"])[: tables.N_SHOWN])


def labels_of(config: ExperimentConfig) -> Labels:
    """What the pictures call the objective, the reward terms and the regimes."""
    spec = envs.describe(config.env)
    return Labels(
        objective=f"{spec.objective} ({spec.objective_unit})",
        terms=spec.terms,
        regimes=spec.regimes,
        window_s=lower_steps_per_window(config) * config.env.dt_s,
        setting=spec.setting,
        setting_names=spec.setting_names,
    )
