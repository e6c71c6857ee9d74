"""`metabalance ablate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runs.commands.experiments import ExperimentCommand, Options, SeedsOptions

if TYPE_CHECKING:
    from hierarchy.evidence.results import Results
    from hierarchy.experiment import Experiment


def _run(experiment: Experiment, options: Options) -> Results:
    from hierarchy.experiment import ablate

    return ablate(experiment)


ABLATE = ExperimentCommand(
    "ablate",
    "compare the learned mix with fixed mixes and balancing rules, for the agents in --out or over --seeds",
    _run,
    SeedsOptions,
)
