"""The composition root: phases over one folder, one executor and one set of sinks.

An output folder holds `config.json` (every setting), the agents `lower.safetensors` and `upper.safetensors`,
`curves.json` of training, what was found on selection seeds (`found.json`), the episodes of the arms (`episodes.npz`), what
moved the mix (`moves.json`), `results.json` and pictures; the figures for MLflow (`journal.jsonl`), and how far it has them
(`delivered.json`). Each phase takes what it needs from the folder, so it can be run alone. What is done of an experiment
that is not over is in `.progress`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch as th

from envs.core.validation import one_line
from hierarchy import plots
from hierarchy.arms import ablation
from hierarchy.arms.beginnings import n_beginning_steps
from hierarchy.building import candidates
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import Results
from hierarchy.evidence.results import read as read_results
from hierarchy.evidence.tables import markdown
from hierarchy.executors import executor
from hierarchy.phases import fine_tuning, tuning
from hierarchy.phases.checks import check_experiment
from hierarchy.phases.comparing import ABLATION, load_agents
from hierarchy.phases.compiling import COMPILING
from hierarchy.phases.phase import RESULTS, Phase, Workspace, remaining
from hierarchy.phases.scoring import SCORING
from hierarchy.phases.training import FLAT, LOWER, UPPER
from hierarchy.phases.tuning import TUNING, recall
from hierarchy.protocols import Source
from hierarchy.storage.agents import load_lower
from hierarchy.storage.bundle import bundled, check_no_bundle
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import NotTrainedError, OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.lock import alone_in
from hierarchy.tracking import publishing
from hierarchy.tracking.opening import Opened, opened
from hierarchy.tracking.progress import Progress, Silent
from hierarchy.tracking.sinks import NOTHING_SHOWN, Level, Sink, Whole

SIDE_BY_SIDE = 200_000
"""Lower steps that may be done side by side from which on starting processes pays."""
PHASES = {phase.name: phase for phase in (COMPILING, TUNING, LOWER, UPPER, FLAT, SCORING, ABLATION)}
WHOLE, SOURCE = "whole", "source"
"""Under which a ledger holds what there is to do, and the agent of another experiment that it begins with, if with one."""


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Let an interrupt of the block say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"metabalance resume {out} goes on") from None


def n_upper_steps(config: ExperimentConfig) -> int:
    """Lower steps of phase 2 that other processes may do."""
    return n_beginning_steps(config) + candidates.n_beside(config)


def n_beside(phases: Sequence[Phase], config: ExperimentConfig) -> int:
    """Lower steps of phases that other processes may do."""
    beside = {TUNING: tuning.n_lower_steps, UPPER: n_upper_steps, ABLATION: ablation.n_lower_steps}
    return sum(count(config) for phase, count in beside.items() if phase in phases)


class Experiment:
    """One experiment in its folder.

    Parameters
    ----------
    config
        All settings.
    out
        The output folder, made when missing.
    preset
        Name of the preset, for tags and results.
    progress
        Shows how far it is.
    started_s
        ``time.perf_counter()`` at process start; the total time counts from there.
    study_run
        Key of the run of the study that this is one training seed of, or of the sweep that it is a trial of.
    level
        What it is where it is neither an experiment nor a training seed.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        out: Path,
        preset: str = "",
        progress: Progress | None = None,
        started_s: float | None = None,
        study_run: str | None = None,
        level: Whole | None = None,
    ) -> None:
        self.config, self.out, self.preset, self.progress = config, out, preset, progress or Silent()
        self.folder, self._study_run, self._level = OutputFolder(out), study_run, level
        self._started_s = time.perf_counter() if started_s is None else started_s

    def workspace(self) -> Workspace:
        """What phases share, at the beginning."""
        return Workspace(self.config, self.folder, self.preset, started_s=self._started_s)

    def continued(self) -> Workspace:
        """The same where the folder holds agents already, with the numbers of the rule that they start from."""
        return Workspace(recall(self.config, self.folder), self.folder, self.preset, started_s=self._started_s)

    def run(self, phases: Sequence[Phase], workspace: Workspace | None = None, resumes: bool = False) -> Results | None:
        """Run phases one after the other; how that ends is how the experiment ends in its sinks.

        What is done of them is kept in the folder until all are over; one that ``resumes`` takes it from there, and so does
        one that was asked for in the same words before.

        Returns
        -------
        Results, if arms were compared.

        Raises
        ------
        ValueError
            The settings don't fit the world, or another experiment writes there; one line, before anything is written.
        KeyboardInterrupt
            It was; with a line that says how to go on.
        """
        work = workspace or self.workspace()
        check_experiment(work.config)
        check_no_bundle(self.out)
        self._check(phases, work, resumes)
        th.set_num_threads(work.config.threads)
        with alone_in(self.out):
            ledger, whole = self._ledger, self._whole(phases, work)
            resumes = resumes or ledger.get(WHOLE) == whole
            if not resumes:
                ledger.clear()
                if work.source is not None:
                    ledger.put(SOURCE, work.source)
                ledger.put(WHOLE, whole)
            over = self._over(phases, work)
            workers = executor(work.config.executor, work.config.threads, n_beside(phases, work.config) >= SIDE_BY_SIDE)
            with resumable(self.out), self.opened(resumes, work.source) as sinks, workers as work.executor:
                self.folder.save_config(self.preset, work.config)
                work.sink = sinks.sink
                for phase in phases:
                    if phase.name not in over:
                        self._run_phase(phase, work)
                results = self._published(sinks, work.config) if ABLATION in phases else None
            ledger.clear()
            return results

    def resume(self) -> Results | None:
        """Go on with what was cut short, with the phases that it was to have."""
        whole = self._ledger.get(WHOLE)
        work = self.workspace()
        work.set_state({name: whole[name] for name in work.get_state()})
        work.source = self._ledger.get(SOURCE)
        if whole.get("source") is not None and work.source is None:
            allowed = "one that holds an experiment that was cut short, and the agent that it began as"
            raise NotTrainedError("folder", allowed, f"{self.out} with a damaged {SOURCE}.json")
        return self.run([PHASES[name] for name in whole["phases"]], work, resumes=True)

    @property
    def is_cut_short(self) -> bool:
        """Whether the folder holds a comparison with these settings that is not over."""
        whole = self._ledger.get(WHOLE)
        return whole is not None and ABLATION.name in whole["phases"] and whole["config"] == plain_settings(self.config)

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.folder.progress, RESULTS)

    def _whole(self, phases: Sequence[Phase], work: Workspace) -> dict[str, Any]:
        """What there is to do, for who goes on with it."""
        asked = {"phases": [phase.name for phase in phases], "preset": self.preset, "study_run": self._study_run}
        return {**asked, "source": None if work.source is None else work.source.sha256, **work.get_state()}

    def _check(self, phases: Sequence[Phase], work: Workspace, resumes: bool) -> None:
        """Hold the settings against what each phase needs that is still to be done."""
        ledger = self._ledger
        goes_on = resumes or ledger.get(WHOLE) == self._whole(phases, work)
        for phase in phases:
            if not (goes_on and phase.lasts and ledger.get(phase.name) is not None):
                phase.check(work.config)

    def _over(self, phases: Sequence[Phase], work: Workspace) -> set[str]:
        """Names of phases that are over, and the workspace as the last of them left it."""
        kept = {phase.name: self._ledger.get(phase.name) for phase in phases if phase.lasts}
        over = list(takewhile(lambda name: kept[name] is not None, kept))
        if over:
            work.set_state(kept[over[-1]])
        return set(over)

    def _run_phase(self, phase: Phase, work: Workspace) -> None:
        work.ledger = self._ledger.below(phase.name)
        phase.run(work)
        if phase.lasts:
            self._ledger.put(phase.name, work.get_state())

    def _published(self, sinks: Opened, config: ExperimentConfig) -> Results:
        """The results and the pair that the folder holds now, everywhere."""
        results = read_results(self.out)
        assert results is not None
        self.publish(results, [self.out], sinks.sink)
        if sinks.tracked is not None:
            try:
                sinks.tracked.model(bundled(self.out, config, sinks.run_key))
            except (ValueError, OSError) as error:
                self.progress.warn(f"the pair is not registered in MLflow ({one_line(error)})")
        return results

    def opened(self, resumes: bool = False, source: Source | None = None) -> AbstractContextManager[Opened]:
        """Where figures go, while it runs: where they went before, if it ``resumes``; its agent may begin as another one."""
        known = self.config, self.out, self.preset, self.progress, self._study_run
        return opened(*known, level=self._level, source=source, resumed=resumes)

    def publish(self, results: Results, folders: Sequence[Path], sink: Sink, knows_regimes: bool = True) -> None:
        """Draw pictures from the recordings in ``folders``, and hand everything to a sink.

        Where nobody ``knows_regimes``, on real servers for example, pictures tell of none.
        """
        labels, pictures = publishing.labels_of(self.config), []
        if not knows_regimes:
            labels = labels._replace(regimes=())
        if self._study_run is None:
            pictures = [picture.path for picture in plots.draw(results, list(folders), labels, self.out)]
        level: Level = "arm" if self._study_run is None else "seed_arm"
        for name, arm in results["arms"].items():
            if arm is not None:
                with sink.run(level, name, parameters=publishing.arm_parameters(arm), tags={"arm": name}) as run:
                    run.metrics(publishing.arm_metrics(arm))
        sink.metrics(publishing.parent_metrics(results))
        sink.describe(markdown(results), publishing.shown(results) if self._study_run is None else NOTHING_SHOWN)
        for path in (*pictures, self.folder.results, self.folder.config):
            sink.artifact(path)


def train(experiment: Experiment) -> Results:
    """Both phases, the flat agent if it is an arm, and the ablation."""
    return _compared(experiment.run((COMPILING, TUNING, LOWER, UPPER, FLAT, ABLATION)))


def train_lower(experiment: Experiment, begins_from: Path | None = None) -> None:
    """Phase 1 alone; its agent may begin as the lower agent in another folder or in a bundle.

    Raises
    ------
    SettingError
        There is none, or none of the same kind and world.
    """
    workspace = experiment.workspace()
    if begins_from is not None:
        fine_tuning.begin_lower(workspace, begins_from)
    experiment.run((COMPILING, TUNING, LOWER), workspace)


def train_upper(experiment: Experiment, begins_from: Path | None = None) -> None:
    """Phase 2 alone, over the folder's lower agent; its agents may begin as the upper one in another folder or in a bundle.

    Raises
    ------
    SettingError
        One of them is missing, or was trained for another world; or what is begun from is of another kind.
    """
    load_lower(experiment.folder, experiment.config)
    workspace = experiment.continued()
    if begins_from is not None:
        fine_tuning.begin_upper(workspace, begins_from)
    experiment.run((COMPILING, UPPER), workspace)


def ablate(experiment: Experiment) -> Results:
    """The ablation alone, of the folder's agents; a flat agent that is asked for and missing is trained.

    Raises
    ------
    NotTrainedError
        An agent is missing, or was trained for another world.
    """
    workspace = experiment.continued()
    workspace.recall()
    wants_flat, has_flat = experiment.config.ablation.flat, FLAT.is_done(experiment.folder)
    load_agents(experiment.folder, experiment.config, flat=wants_flat and has_flat)
    training = (FLAT,) if wants_flat and not has_flat else ()
    return _compared(experiment.run((COMPILING, *training, ABLATION), workspace))


def complete(experiment: Experiment) -> Results:
    """Whatever the folder lacks, from the first agent on that is missing; the ablation in any case."""
    if experiment.is_cut_short:
        return _compared(experiment.resume())
    todo = remaining((LOWER, UPPER), experiment.folder)
    if not todo:
        return ablate(experiment)
    if LOWER not in todo:
        load_lower(experiment.folder, experiment.config)
        return _compared(experiment.run((COMPILING, *todo, FLAT, ABLATION), experiment.continued()))
    return _compared(experiment.run((COMPILING, TUNING, *todo, FLAT, ABLATION)))


def _compared(results: Results | None) -> Results:
    assert results is not None
    return results
