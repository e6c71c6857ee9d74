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


def evaluate(folder: Path | str, config: ExperimentConfig | None = None, *, trusts_factory: bool = False) -> Results:
    """The arms of the agents in a folder on evaluation seeds, in the world of ``config`` or else in their own.

    Parameters
    ----------
    trusts_factory
        Whether to import the factory that their own world has: code that whoever made the folder chose.

    Raises
    ------
    ValueError
        Agents are missing, or don't fit the world, or its factory is not trusted; one line.
    """
    from hierarchy.evaluation import evaluate_folder
    from hierarchy.storage.trained import config_of

    return evaluate_folder(config or config_of(Path(folder), trusts_factory=trusts_factory), Path(folder))


def load(folder: Path | str, *, trusts_factory: bool = False) -> Trained:
    """The agents that a folder holds, with the settings that they were trained with.

    Parameters
    ----------
    trusts_factory
        Whether to import the factory that their world has: code that whoever made the folder chose.

    Raises
    ------
    ValueError
        One is missing or can't be read, or the factory is not trusted; one line.
    """
    from hierarchy.storage.trained import load as load_trained

    return load_trained(Path(folder), trusts_factory=trusts_factory)
