"""`results.json`: what an experiment found, in one schema for files, tables and MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from envs.core.spec import WorldSpec
from envs.core.validation import SettingError
from hierarchy.evidence.arms import (
    ORACLE,
    ArmResult,
    Compared,
    Facts,
    above_oracle,
    arm_result,
    combined_arm,
    comparisons,
    gap_closed_by,
    in_all,
    mean_of,
)
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.statistics import GapClosed
from hierarchy.storage.files import read_json
from hierarchy.storage.folder import OutputFolder

SCHEMA = 6


class LowerResult(TypedDict):
    """Phase 1."""

    timesteps: int
    steps_per_s: float


class CandidateResult(TypedDict):
    """An upper agent; its mean objective on selection seeds is None where there was nothing to choose, `beyond` what costs
    exceed their bounds by there.

    One of 0 meta steps stayed as others began.
    """

    seed: int
    meta_steps: int
    objective: float | None
    beyond: float
    kept: bool


class UpperResult(TypedDict):
    """Phase 2: meta steps of the agent that was kept, speed of all, lower steps of all candidates and of the choice."""

    meta_steps: int
    lower_steps_per_s: float
    lower_steps: int
    candidates: list[CandidateResult]


class Results(TypedDict):
    """The file; an arm without a use here or not wanted is None. `ablation` holds the settings of the comparison, `notes`
    what one should know before reading on, `begun_from` where those are from that agents began as, if any did, by the agent.
    """

    schema: int
    preset: str
    seed: int
    training_seeds: list[int]
    timings_s: dict[str, float]
    lower: LowerResult | None
    upper: UpperResult | None
    ablation: dict[str, Any]
    arms: dict[str, ArmResult | None]
    comparisons: dict[str, Compared]
    gap_closed: GapClosed | None
    found: dict[str, Any]
    begun_from: NotRequired[dict[str, Any]]
    notes: list[str]


def of_arms(
    arms: Mapping[str, Episodes | None], facts: Mapping[str, Facts], spec: WorldSpec, preset: str = "", seed: int = 0
) -> Results:
    """What one training seed's arms show; times, phases and what was found are for the caller to fill in."""
    figures = {name: None if arm is None else arm_result(arm, facts[name], spec) for name, arm in arms.items()}
    return {
        "schema": SCHEMA,
        "preset": preset,
        "seed": seed,
        "training_seeds": [seed],
        "timings_s": {},
        "lower": None,
        "upper": None,
        "ablation": {},
        "arms": figures,
        "comparisons": comparisons([figures]),
        "gap_closed": gap_closed_by([figures]),
        "found": {},
        "notes": [],
    }


def why_no_gap(results: Results) -> str:
    """Why there is no `gap_closed`."""
    arms = [results["arms"]]
    there = in_all(arms)
    if ORACLE not in there:
        return "no oracle was told regimes: it must be asked for, in a world that has some"
    above = above_oracle(arms)
    if above:
        return f"{above[0]}, which is told no regime, is above the delayed oracle"
    return "the delayed oracle is not clearly apart from the best fixed mix"


def combined(results: Sequence[Results]) -> Results:
    """One table of experiments that differ in their training seed only: the training seed is the unit from here on.

    On a recording its blocks are. Times are sums, speeds and metrics means. An arm that any of them lacks is None; what was
    found is listed by training seed.
    """
    first, arms = results[0], [one["arms"] for one in results]
    there = in_all(arms)
    whole: Results = {
        **first,
        "training_seeds": [seed for one in results for seed in one["training_seeds"]],
        "timings_s": _sums([one["timings_s"] for one in results]),
        "lower": mean_of([one["lower"] for one in results]),
        "upper": _upper_of([one["upper"] for one in results]),
        "arms": {name: combined_arm(arms, name) if name in there else None for name in first["arms"]},
        "comparisons": comparisons(arms),
        "gap_closed": gap_closed_by(arms),
        "found": {name: [one["found"].get(name) for one in results] for name in first["found"]},
    }
    whole.pop("begun_from", None)  # that of one training seed
    return whole


def _upper_of(parts: Sequence[UpperResult | None]) -> UpperResult | None:
    """Means of the figures that all have, and the candidates of all training seeds; None where any seed's are missing."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts):
        return None
    shared = set.intersection(*(set(part) for part in there)) - {"candidates"}
    figures: UpperResult = mean_of([{key: value for key, value in part.items() if key in shared} for part in there])
    figures["candidates"] = [candidate for part in there for candidate in part.get("candidates", [])]
    return figures


def _sums(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Sums by key; a key that only some have counts all the same."""
    return {key: sum(part.get(key, 0.0) for part in parts) for key in dict.fromkeys(key for part in parts for key in part)}


def ranked(results: Results) -> list[tuple[str, ArmResult]]:
    """The arms by mean objective, best first."""
    there = [(name, arm) for name, arm in results["arms"].items() if arm is not None]
    return sorted(there, key=lambda item: -item[1]["objective"]["mean"])


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
