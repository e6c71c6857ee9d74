"""What an experiment leaves, apart from what depends on when and where it ran."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch as th

TIMES = ("timings_s", "steps_per_s", "lower_steps_per_s", "lower/steps_per_s", "upper/meta_steps_per_s")


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_times(part) for name, part in value.items() if name not in TIMES}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def _weights(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as stored, stored.open("policy.pth") as file:
        tensors = th.load(file, weights_only=True)
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    if path.suffix == ".zip":
        return _weights(path)
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {name: stored[name].tobytes() for name in stored.files}
    return "a picture"


def left_by(folder: Path) -> dict[str, Any]:
    """Contents of all files by name, those of hidden folders included: nothing of them should be left."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if path.is_file()}
