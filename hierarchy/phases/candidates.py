"""Phase 2: upper agents of several seeds are trained over one lower agent, and the best on selection seeds is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import NamedTuple

from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, play
from hierarchy.arms.start import Agents
from hierarchy.building import candidates as building
from hierarchy.building.upper import build
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import UpperResult
from hierarchy.phases.observers import Kept, Metrics, Steps
from hierarchy.phases.phase import Workspace
from hierarchy.protocols import Actor, Learner, Observer
from hierarchy.storage import agents
from hierarchy.tracking.sinks import Level, Sink, Work

NAME: Level = "upper"


class Candidate(NamedTuple):
    """An upper agent that was trained, and saved at ``path``.

    Attributes
    ----------
    seconds
        That training took.
    metrics
        Figures of training, with the meta step that they are of.
    objective
        Mean on selection seeds; None where there is nothing to choose.
    """

    seed: int
    path: Path
    n_steps: int
    seconds: float
    metrics: Metrics
    objective: float | None


def objective_of(config: ExperimentConfig, pair: Agents) -> float | None:
    """Mean objective of a pair on selection seeds; None where there is nothing to choose."""
    if building.selection_steps(config) == 0:
        return None
    batch = Batch(config.env, "select", range(config.upper.candidate_seeds), config.ablation.select_windows)
    return float(play(config, pair, {}, start_learned, batch).objective.mean())


def train_one(
    config: ExperimentConfig, lower: Actor, learner: Learner, seed: int, path: Path, kept: Kept, *observers: Observer
) -> Candidate:
    """Train, save and evaluate a candidate that was just built: building it set all streams that it draws from."""
    started_s = time.perf_counter()
    learner.learn(config.upper.meta_steps, kept, *observers)
    seconds = time.perf_counter() - started_s
    agents.save(learner, path, config)
    return Candidate(seed, path, learner.n_steps, seconds, kept.metrics, objective_of(config, Agents(lower, learner.actor)))


def train_elsewhere(config: ExperimentConfig, lower: Actor, seed: int, path: Path) -> Candidate:
    """The same in a worker."""
    return train_one(config, lower, build(config, lower, seed), seed, path, Kept())


class Training:
    """All candidates of an experiment: the first here, others in workers meanwhile if there are any, else here as well.

    Attributes
    ----------
    done
        Candidates by number.
    learner, kept
        The one in training here, and its figures so far.
    """

    def __init__(self, workspace: Workspace, sink: Sink, drafts: Path) -> None:
        self._config, self._executor, self._sink = workspace.config, workspace.executor, sink
        self._lower = agents.load_lower(workspace.folder, workspace.config)
        self._paths = [drafts / f"{n}.zip" for n in range(self._config.upper.candidates)]
        self.done: dict[int, Candidate] = {}
        self.learner: Learner | None = None
        self.kept = Kept()

    def run(self) -> None:
        """Train all."""
        seeds = building.seeds(self._config)
        n_here = 1 if self._executor.n_workers > 1 else len(seeds)
        jobs = {self._submit(n, seeds[n]): n for n in range(n_here, len(seeds))}
        for n in range(n_here):
            self._train_here(n, seeds[n])
        for job in as_completed(jobs):
            self.done[jobs[job]] = job.result()
            self._sink.advance(job.result().n_steps + n_selection_windows(self._config))

    def _submit(self, n: int, seed: int) -> Future[Candidate]:
        return self._executor.submit(train_elsewhere, self._config, self._lower, seed, self._paths[n])

    def _train_here(self, n: int, seed: int) -> None:
        self.kept, self.learner = Kept(), build(self._config, self._lower, seed)
        observers = self.kept, Steps(self._sink)
        self.done[n] = train_one(self._config, self._lower, self.learner, seed, self._paths[n], *observers)
        self._sink.advance(n_selection_windows(self._config))

    @property
    def best(self) -> int:
        """Number of the best that is done, of equal ones the first."""
        return max(sorted(self.done), key=lambda n: self.done[n].objective or 0.0)


def n_selection_windows(config: ExperimentConfig) -> int:
    """Meta steps that a candidate is run on selection seeds."""
    return building.selection_steps(config) // lower_steps_per_window(config)


def work_of(config: ExperimentConfig) -> Work:
    """Meta steps of all candidates, selection included."""
    n_steps = config.upper.meta_steps + n_selection_windows(config)
    return Work("phase 2: upper agent", config.upper.candidates * n_steps, "meta steps")


def train(workspace: Workspace) -> None:
    """Phase 2, over the folder's lower agent."""
    folder = workspace.folder
    with workspace.phase(NAME, work_of(workspace.config)) as sink, folder.drafts() as drafts:
        training = Training(workspace, sink, drafts)
        try:
            training.run()
        except KeyboardInterrupt:
            if keep_interrupted(training, workspace, sink):
                raise KeyboardInterrupt(f"what was learned so far is in {folder.interrupted(NAME)}") from None
            raise
        kept = training.done[training.best]
        log(with_objectives(kept.metrics, training.done), sink)
        agents.move(kept.path, folder.agent(NAME))
    workspace.upper = result_of(training, workspace.config)


def keep_interrupted(training: Training, workspace: Workspace, sink: Sink) -> bool:
    """Leave the best that is done, or else what is in training here, if there is anything; and its figures."""
    path = workspace.folder.interrupted(NAME)
    if training.done:
        best = training.done[training.best]
        agents.move(best.path, path)
        log(best.metrics, sink)
    elif training.learner is not None:
        agents.save(training.learner, path, workspace.config)
        log(training.kept.metrics, sink)
    return path.is_file()


def log(metrics: Metrics, sink: Sink) -> None:
    """Hand figures of training to a sink."""
    for values, step in metrics:
        sink.metrics(values, step)


def with_objectives(metrics: Metrics, done: Mapping[int, Candidate]) -> Metrics:
    """Figures of training, the last of them with what each candidate is worth on selection seeds."""
    objectives = {f"upper/candidate_objective/{n}": done[n].objective for n in sorted(done)}
    *first, (last, step) = metrics
    return [*first, (last | {name: value for name, value in objectives.items() if value is not None}, step)]


def result_of(training: Training, config: ExperimentConfig) -> UpperResult:
    """How training went."""
    kept, of_all = training.done[training.best], [training.done[n] for n in sorted(training.done)]
    per_window = lower_steps_per_window(config)
    return {
        "meta_steps": kept.n_steps,
        "lower_steps_per_s": kept.n_steps / kept.seconds * per_window,
        "lower_steps": sum(one.n_steps * per_window + building.selection_steps(config) for one in of_all),
        "candidates": [{"seed": one.seed, "objective": one.objective, "kept": one is kept} for one in of_all],
    }
