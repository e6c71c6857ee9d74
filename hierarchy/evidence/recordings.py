"""What pictures are drawn from, kept in the output folder: episodes of the arms, and the curves of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from envs.core.arrays import Array
from envs.core.statistics import Spread
from hierarchy.evidence.episodes import Episodes
from hierarchy.storage.files import read_arrays, read_json, write_arrays, write_json
from hierarchy.storage.folder import OutputFolder

_ARRAYS = (
    "objective",
    "window_objective",
    "recorded_position",
    "contexts",
    "regimes",
    "settings",
    "observations",
    "features",
    "running",
)
_TABLES = ("statistics", "costs", "timeline")


class Curves:
    """Metrics of the phases of training, by step; None where there was none of a name."""

    def __init__(self) -> None:
        self._phases: dict[str, dict[str, list[float | None]]] = {}

    def record(self, phase: str, values: Mapping[str, float], step: int) -> None:
        """Take in the metrics of a step."""
        curve = self._phases.setdefault(phase, {})
        n_before, now = len(curve.get("step", [])), {"step": step, **values}
        for name in dict.fromkeys((*curve, *now)):
            of_name = curve.setdefault(name, [None] * n_before)
            of_name.append(float(now[name]) if name in now else None)

    def save(self, folder: Path) -> None:
        """Write what there is, if anything; other phases keep what the folder holds of them."""
        if self._phases:
            write_json({**load_curves(folder), **self._phases}, OutputFolder(folder).curves)


def save_episodes(arms: Mapping[str, Episodes | None], folder: Path) -> None:
    """Write the arms that there are."""
    flat: dict[str, Array] = {}
    for name, arm in arms.items():
        if arm is None:
            continue
        for key in _ARRAYS:
            value = getattr(arm, key)
            if value is not None:
                flat[f"{name}/{key}"] = value
        for key in _TABLES:
            flat |= {f"{name}/{key}/{column}": values for column, values in getattr(arm, key).items()}
        flat |= {f"{name}/bounds/{constraint}": np.array(bound) for constraint, bound in arm.bounds.items()}
        if arm.spread is not None:
            flat[f"{name}/spread/{arm.spread.label}"] = np.stack(
                [arm.spread.edges[:-1], arm.spread.edges[1:], arm.spread.counts]
            )
    write_arrays(flat, OutputFolder(folder).episodes)


def load_episodes(folder: Path) -> dict[str, Episodes]:
    """The arms that the folder holds, by name."""
    parts = read_arrays(OutputFolder(folder).episodes)
    names = dict.fromkeys(key.split("/")[0] for key in parts)
    return {
        name: _episodes({key.removeprefix(f"{name}/"): value for key, value in parts.items() if key.startswith(f"{name}/")})
        for name in names
    }


def _episodes(parts: dict[str, Any]) -> Episodes:
    values: dict[str, Any] = {key: parts.get(key) for key in _ARRAYS}
    spread = None
    for key, table in parts.items():
        if key.startswith("spread/"):
            low, high, counts = table.astype(np.float64)
            spread = Spread(key.removeprefix("spread/"), np.append(low, high[-1]), counts)
    tables: dict[str, Any] = {
        table: {key.removeprefix(f"{table}/"): value for key, value in parts.items() if key.startswith(f"{table}/")}
        for table in (*_TABLES, "bounds")
    }
    tables["bounds"] = {constraint: float(bound) for constraint, bound in tables["bounds"].items()}
    return Episodes(**values, **tables, spread=spread)


def load_curves(folder: Path) -> dict[str, dict[str, list[float | None]]]:
    """The curves that the folder holds, by phase."""
    path = OutputFolder(folder).curves
    return dict(read_json(path)) if path.is_file() else {}
