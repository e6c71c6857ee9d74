"""A tiny sweep, and what is asked of one that is over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from hierarchy.config import ExperimentConfig
from hierarchy.sweeping.space import Choices, Range
from hierarchy.sweeping.sweep import Sweep
from runs.settings.space import sweep_of

SPACE = {
    "lower.learning_rate": Range(1e-3, 0.3, log=True),
    "lower.n_steps": Choices([8, 16]),
    "env.dt_s": Range(0.25, 2.0),
}
"""What trials differ by in their objective, too."""


def small(config: ExperimentConfig, **changes: Any) -> ExperimentConfig:
    """Tiny settings with a checkpoint before every rollout, so that a kill finds something to go on from."""
    return replace(config, checkpoint_s=0.0, **changes)


def sweep_from(config: ExperimentConfig, n_trials: int) -> Sweep:
    return sweep_of(SPACE, config, "tiny", n_trials)


def trials_of(out: Path) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads((out / "trials.json").read_text())["trials"]
    return trials


def agents_of(folder: Path) -> dict[str, bytes]:
    """Of all trials in a folder, or of one experiment."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}
