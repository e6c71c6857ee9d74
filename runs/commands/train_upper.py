"""`metabalance train-upper`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runs.commands.experiments import ExperimentCommand, OverSavedOptions

if TYPE_CHECKING:
    from hierarchy.experiment import Experiment


def _run(experiment: Experiment) -> None:
    from hierarchy.experiment import train_upper

    train_upper(experiment)


TRAIN_UPPER = ExperimentCommand(
    "train-upper", "phase 2: the upper agent, over the lower agent in --out", _run, OverSavedOptions
)
