"""Which sinks an experiment has: the one place that names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hierarchy.config import ExperimentConfig
from hierarchy.tracking.commit import git_commit
from hierarchy.tracking.curves import FolderCurves
from hierarchy.tracking.mlflow_runs import OUT_TAG, Run, Tracker
from hierarchy.tracking.mlflow_store import artifact_root, store_uri
from hierarchy.tracking.progress import Progress, ShownProgress
from hierarchy.tracking.publishing import parameters
from hierarchy.tracking.sinks import Level, Several, Sink


@dataclass(frozen=True)
class Opened:
    """The sink of an experiment, and its MLflow run if it is tracked."""

    sink: Sink
    tracked: Run | None = None

    @property
    def run_id(self) -> str | None:
        """Id of the run in MLflow, None without tracking; waits until the run is made."""
        return None if self.tracked is None else self.tracked.id


@contextmanager
def opened(
    config: ExperimentConfig, out: Path, preset: str, progress: Progress, study_run: str | None = None
) -> Iterator[Opened]:
    """The sink of an experiment in the folder ``out``; how the block ends is how its run ends.

    ``study_run`` is the id of the MLflow run of the study that it is one training seed of.
    """
    untracked = (FolderCurves(out), ShownProgress(progress))
    if not config.tracking.enabled:
        with closing(progress):
            yield Opened(Several(untracked))
            progress.end()
        return
    tags = {
        "seed": str(config.seed),
        "preset": preset,
        "git_commit": git_commit(),
        "env_family": config.env.family,
        OUT_TAG: str(out.resolve()),
    }
    root = out.parent if study_run is None else out.parent.parent
    level: Level = "experiment" if study_run is None else "seed"
    tracker = Tracker(store_uri(root), artifact_root(root), config.tracking.experiment, tags)
    with closing(progress), tracker, tracker.run(level, out.name, study_run, parameters(config)) as tracked:
        yield Opened(Several((*untracked, tracked)), tracked)
        progress.end()
