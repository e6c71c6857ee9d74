"""`metabalance train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runs.commands.experiments import ExperimentCommand, Options

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results
    from hierarchy.experiment import Experiment


def _run(experiment: Experiment, options: Options) -> Results:
    from hierarchy.experiment import train

    return train(experiment)


TRAIN = ExperimentCommand("train", "both phases and the ablation", _run)
