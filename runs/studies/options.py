"""The options that all studies share."""

from __future__ import annotations

import argparse
from pathlib import Path

from envs import LoadBalancingConfig
from hierarchy.config import ExperimentConfig
from runs.settings import UsageError, parse


def study_of(name: str, description: str | None, n_seeds: int | None = None) -> tuple[argparse.Namespace, ExperimentConfig]:
    """The command line of a study, and the settings that its folder was trained with."""
    parser = argparse.ArgumentParser(prog=f"python -m runs.studies.{name}", description=description)
    parser.add_argument("folder", type=Path, help="output folder of an experiment or of several training seeds")
    if n_seeds is not None:
        parser.add_argument("--seeds", type=int, default=n_seeds, help="training seeds")
    parser.add_argument("--trace", type=Path, help="a recording of requests")
    options = parser.parse_args()
    _, config = parse("ablate", "", ["--out", str(options.folder)], over_saved=True)
    return options, config


def balancing(config: ExperimentConfig) -> LoadBalancingConfig:
    """The load-balancing world of a study that is about nothing else.

    Raises
    ------
    UsageError
        The agents were trained in another world.
    """
    if not isinstance(config.env, LoadBalancingConfig):
        raise UsageError(f"folder must hold agents of env.family load_balancing, got {config.env.family}")
    return config.env
