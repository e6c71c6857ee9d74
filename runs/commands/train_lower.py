"""`metabalance train-lower`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runs.commands.experiments import ExperimentCommand

if TYPE_CHECKING:
    from hierarchy.experiment import Experiment


def _run(experiment: Experiment) -> None:
    from hierarchy.experiment import train_lower

    train_lower(experiment)


TRAIN_LOWER = ExperimentCommand("train-lower", "phase 1: the contextual lower agent", _run)
