"""Which sinks an experiment has: the one place that names them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hierarchy.config import ExperimentConfig
from hierarchy.protocols import Source
from hierarchy.tracking import publishing
from hierarchy.tracking.commit import git_commit
from hierarchy.tracking.curves import FolderCurves
from hierarchy.tracking.mlflow_runs import OUT_TAG
from hierarchy.tracking.progress import Progress, ShownProgress, Silent
from hierarchy.tracking.sinks import Several, Sink, Whole
from hierarchy.tracking.syncing import sync_seeds
from hierarchy.tracking.tracked import Run, Tracker


@dataclass(frozen=True)
class Opened:
    """The sink of an experiment, and its MLflow run if it is tracked."""

    sink: Sink
    tracked: Run | None = None

    @property
    def run_key(self) -> str | None:
        """Key of the run, None without tracking."""
        return None if self.tracked is None else self.tracked.key


@contextmanager
def opened(
    config: ExperimentConfig,
    out: Path,
    preset: str,
    progress: Progress,
    study_run: str | None = None,
    *,
    level: Whole | None = None,
    source: Source | None = None,
    resumed: bool = False,
) -> Iterator[Opened]:
    """The sink of an experiment in the folder ``out``; how the block ends is how its run ends.

    ``study_run`` is the key of the run of the study that it is one training seed of, or of the sweep that it is a trial of;
    ``level`` says what it is where it is neither an experiment nor a training seed. ``source`` is what its agent begins as,
    if as another one. What is ``resumed`` goes on with the runs of what the folder's journal ends with.
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
        **publishing.origin_tags(source),
    }
    level = level or ("experiment" if study_run is None else "seed")
    tracker = Tracker(out, config.tracking.experiment, tags, 1 if study_run is None else 2, resumed=resumed)
    run = tracker.run(level, out.name, study_run, publishing.parameters(config))
    with closing(progress), _warned(tracker, out, progress if study_run is None else Silent()), tracker, run:
        yield Opened(Several((*untracked, run)), run)
        progress.end()


@contextmanager
def _warned(tracker: Tracker, out: Path, progress: Progress) -> Iterator[None]:
    """Say what is not delivered when the block is left. What training seeds have left is, unless the block was cut short."""
    is_whole = False
    try:
        yield
        is_whole = True
    finally:
        synced = tracker.synced.and_then(sync_seeds(out, tries=is_whole and tracker.synced.n_waiting == 0))
        for line in synced.lines(out):
            progress.warn(line)
