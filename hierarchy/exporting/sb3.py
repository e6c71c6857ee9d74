"""Agents as Stable-Baselines3 saves them, for tools that read its zips. They hold pickle, and nothing here reads them."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from envs.core.validation import SettingError
from hierarchy.building import lower, upper
from hierarchy.config import ExperimentConfig
from hierarchy.lower.offline import OfflineConfig
from hierarchy.nets.saving import ACTING
from hierarchy.protocols import SavedAgent
from hierarchy.sb3.learner import SB3Learner
from hierarchy.storage.agents import lower_of
from hierarchy.storage.bundle import Parts
from hierarchy.upper.remembering import remembers


def zips_of(parts: Parts, config: ExperimentConfig) -> dict[str, bytes]:
    """Both agents by file name, actors and critics; where training was, and what optimisers had gathered, is not in them.

    Raises
    ------
    SettingError
        They are of a bundle, which has nothing but what acts; or of an algorithm that is none of Stable-Baselines3's.
    """
    if isinstance(config.lower, OfflineConfig):  # to build one takes its dataset
        raise _foreign()
    if remembers(parts.upper):
        raise SettingError("format", "bundle or onnx for an upper agent that remembers windows, which no zip holds", "sb3")
    config = dataclasses.replace(config, lower=dataclasses.replace(config.lower, paired=False))
    learners = {"lower": lower.learner(config), "upper": upper.build(config, lower_of(parts.lower, config))}
    saved = {"lower": parts.lower, "upper": parts.upper}
    return {f"{name}.zip": zip_of(learner, saved[name]) for name, learner in learners.items()}


def _foreign() -> SettingError:
    return SettingError("format", "bundle or onnx for an algorithm that is none of Stable-Baselines3's", "sb3")


def zip_of(learner: object, saved: SavedAgent) -> bytes:
    """A learner that has learned what was saved."""
    if not isinstance(learner, SB3Learner):
        raise _foreign()
    if all(name.startswith(ACTING) for name in saved.arrays):
        raise SettingError("folder", "that of an experiment for format sb3, which holds critics as well", "a bundle")
    learner.begin_from(saved)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.zip"
        learner.agent.save(path)
        return path.read_bytes()
