"""`metabalance train-lower`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runs.commands.experiments import BeginningOptions, ExperimentCommand, Options

if TYPE_CHECKING:
    from hierarchy.experiment import Experiment


@dataclass(frozen=True)
class LowerOptions(BeginningOptions, Options):
    """Those of a command that trains a lower agent, which may begin as another one."""


def _run(experiment: Experiment, options: LowerOptions) -> None:
    from hierarchy.experiment import train_lower

    train_lower(experiment, options.begins_from)


TRAIN_LOWER = ExperimentCommand("train-lower", "phase 1: the contextual lower agent", _run, LowerOptions)
