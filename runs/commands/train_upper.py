"""`metabalance train-upper`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runs.commands.experiments import BeginningOptions, ExperimentCommand, OverSavedOptions

if TYPE_CHECKING:
    from hierarchy.experiment import Experiment


@dataclass(frozen=True)
class UpperOptions(BeginningOptions, OverSavedOptions):
    """Those of a command that trains an upper agent, which may begin as another one."""


def _run(experiment: Experiment, options: UpperOptions) -> None:
    from hierarchy.experiment import train_upper

    train_upper(experiment, options.begins_from)


TRAIN_UPPER = ExperimentCommand("train-upper", "phase 2: the upper agent, over the lower agent in --out", _run, UpperOptions)
