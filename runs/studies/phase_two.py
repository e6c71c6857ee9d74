"""Phase 2 once more over a trained lower agent: candidates are trained, and the best on selection seeds is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hierarchy.arms.found import Chosen
from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import on_evaluation_seeds, play
from hierarchy.arms.start import Agents
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.episodes import Episodes
from hierarchy.phases.candidates import Training
from hierarchy.phases.phase import Workspace
from hierarchy.protocols import Actor, TrainedActor
from hierarchy.storage.agents import load_lower
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.saved import read_saved
from hierarchy.tracking.sinks import Sink


class Kept(NamedTuple):
    """The candidate that was kept.

    Attributes
    ----------
    lower, upper
        The pair that it makes.
    is_trained
        Whether it has learned, or stays as it began.
    found
        What was found on selection seeds before, by name.
    """

    lower: Actor
    upper: TrainedActor
    is_trained: bool
    found: dict[str, Chosen]

    def episodes(self, config: ExperimentConfig) -> Episodes:
        """Of the pair on evaluation seeds."""
        return play(config, Agents(self.lower, self.upper), {}, start_learned, on_evaluation_seeds(config))


def best_candidate(config: ExperimentConfig, folder: Path, seeds: Sequence[int]) -> Kept:
    """Train candidates of ``seeds`` over the lower agent of a folder, in which nothing changes."""
    workspace = Workspace(config, OutputFolder(folder))
    with tempfile.TemporaryDirectory() as drafts:
        training = Training(workspace, Sink(), Path(drafts), seeds)
        training.begin(workspace.found)
        training.run()
        kept = training.done[training.best]
        upper = config.upper.actor(read_saved(kept.path))
    return Kept(load_lower(workspace.folder, config), upper, kept.n_steps > 0, workspace.found)
