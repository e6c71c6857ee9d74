"""Agents in two levels over worlds of `envs`: to train, evaluate and deploy a pair. Importing it costs no torch.

``train(config, out)`` trains both agents and compares them with everything else, ``evaluate(folder)`` compares them in
another world, ``load(folder)`` gives the pair that was trained.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hierarchy.config import ExperimentConfig

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results
    from hierarchy.pair import Pair
    from hierarchy.storage.trained import Trained
    from hierarchy.tracking.progress import Progress

__all__ = ["ExperimentConfig", "Pair", "Trained", "evaluate", "load", "train"]

_LAZY = {"Pair": "hierarchy.pair", "Trained": "hierarchy.storage.trained"}
"""Names of the face whose modules hold compiled code or import torch, imported when they are asked for."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def train(config: ExperimentConfig, out: Path | str, progress: Progress | None = None) -> Results:
    """Both phases and the ablation of an experiment; everything is left in the folder ``out``.

    Raises
    ------
    ValueError
        The settings don't fit the world; one line, before anything is written.
    """
    from hierarchy import experiment

    return experiment.train(experiment.Experiment(config, Path(out), progress=progress))


def evaluate(folder: Path | str, config: ExperimentConfig | None = None) -> Results:
    """The arms of the agents in a folder on evaluation seeds, in the world of ``config`` or else in their own.

    Raises
    ------
    ValueError
        Agents are missing, or don't fit the world; one line.
    """
    from hierarchy.evaluation import evaluate_folder
    from hierarchy.storage.trained import config_of

    return evaluate_folder(config or config_of(Path(folder)), Path(folder))


def load(folder: Path | str) -> Trained:
    """The agents that a folder holds, with the settings that they were trained with.

    Raises
    ------
    ValueError
        One is missing or can't be read.
    """
    from hierarchy.storage.trained import load as load_trained

    return load_trained(Path(folder))
