"""Small datasets of a rule and of a pair."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hierarchy.collecting.collection import make_dataset
from hierarchy.collecting.conduct import Conduct
from hierarchy.collecting.sources import Source
from hierarchy.config import ExperimentConfig


def lasting(config: ExperimentConfig, n_steps: int, **actions: Any) -> ExperimentConfig:
    """Settings with episodes of so many steps, and other actions."""
    changed = dataclasses.replace(config.env.actions, **actions)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, episode_steps=n_steps, actions=changed))


def of_rule(config: ExperimentConfig, to: Path, **conduct: Any) -> Path:
    """A dataset of the nominal rule, or of another one."""
    make_dataset(Source(config, Conduct(**{"rule": "nominal", "episodes": 3, **conduct})), to)
    return to
