"""What an experiment leaves, apart from what depends on when and where it ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.storage.saved import SUFFIX

TIMES = ("timings_s", "steps_per_s", "lower_steps_per_s", "lower/steps_per_s", "upper/meta_steps_per_s")


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    if path.suffix == SUFFIX:
        return path.read_bytes()
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {name: stored[name].tobytes() for name in stored.files}
    return "a picture"


def left_by(folder: Path) -> dict[str, Any]:
    """Contents of all files by name, those of hidden folders included: nothing of them should be left."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()}
