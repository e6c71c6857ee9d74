"""What pictures are drawn from, kept in the output folder: episodes of the arms, and the curves of training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.core.reports import Spread
from hierarchy.arms.episodes import Episodes
from hierarchy.evidence.results import write_json

FloatArray = NDArray[np.float64]

EPISODES_NAME = "episodes.npz"
CURVES_NAME = "curves.json"

_ARRAYS = ("objective", "window_objective", "recorded_position", "contexts", "regimes", "settings")
_TABLES = ("statistics", "timeline")


class Curves:
    """Metrics of the phases of training, by step."""

    def __init__(self) -> None:
        self._phases: dict[str, dict[str, list[float]]] = {}

    def record(self, phase: str, values: Mapping[str, float], step: int) -> None:
        """Take in the metrics of a step."""
        curve = self._phases.setdefault(phase, {})
        for name, value in {"step": step, **values}.items():
            curve.setdefault(name, []).append(float(value))

    def save(self, folder: Path) -> None:
        """Write what there is, if anything; other phases keep what the folder holds of them."""
        if self._phases:
            write_json({**load_curves(folder), **self._phases}, folder / CURVES_NAME)


def save_episodes(arms: Mapping[str, Episodes | None], folder: Path) -> None:
    """Write the arms that there are, whole or not at all."""
    flat: dict[str, Any] = {}
    for name, arm in arms.items():
        if arm is None:
            continue
        for key in _ARRAYS:
            value = getattr(arm, key)
            if value is not None:
                flat[f"{name}/{key}"] = value
        for key in _TABLES:
            flat |= {f"{name}/{key}/{column}": values for column, values in getattr(arm, key).items()}
        if arm.spread is not None:
            flat[f"{name}/spread/{arm.spread.label}"] = np.stack(
                [arm.spread.edges[:-1], arm.spread.edges[1:], arm.spread.counts]
            )
    partial = folder / f".{EPISODES_NAME}"
    with partial.open("wb") as file:
        np.savez_compressed(file, **flat)
    partial.replace(folder / EPISODES_NAME)


def load_episodes(folder: Path) -> dict[str, Episodes]:
    """The arms that the folder holds, by name."""
    with np.load(folder / EPISODES_NAME) as stored:
        parts = {key: stored[key] for key in stored.files}
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
        for table in _TABLES
    }
    return Episodes(**values, **tables, spread=spread)


def load_curves(folder: Path) -> dict[str, dict[str, list[float]]]:
    """The curves that the folder holds, by phase."""
    path = folder / CURVES_NAME
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
