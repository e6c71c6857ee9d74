"""Phase 2: upper agents of several seeds are trained over one lower agent, and the best on selection seeds is kept.

Where they begin at the best fixed mix, that is found first, and one that sets it all the time is a candidate, too. So is one
that stays as the others begin where they begin with a mix for every state, learned from the race for the fixed one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import envs
from hierarchy.arms import gated
from hierarchy.arms.beginnings import beginnings, n_beginning_steps
from hierarchy.arms.fixed import find_best
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.learned import start_learned
from hierarchy.arms.mix_race import RACE
from hierarchy.arms.running import Batch, play
from hierarchy.arms.scores import Scores
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.building import candidates as building
from hierarchy.building.upper import Beginning, build
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import UpperResult
from hierarchy.phases.going_on import train
from hierarchy.phases.observers import Kept, Metrics, log
from hierarchy.phases.phase import Workspace
from hierarchy.protocols import Actor, Learner
from hierarchy.storage import agents
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.saved import SUFFIX
from hierarchy.tracking.sinks import Level, Sink, Work

NAME: Level = "upper"


class Candidate(NamedTuple):
    """An upper agent that was trained, or stays as it began, saved at ``path``.

    Attributes
    ----------
    n_steps, seconds
        That training took.
    metrics
        Figures of training, with the meta step that they are of.
    objective
        Mean on selection seeds; None where there is nothing to choose.
    beyond
        What mean costs exceeded their bounds by there, as a share of these.
    """

    seed: int
    path: Path
    n_steps: int
    seconds: float
    metrics: Metrics
    objective: float | None
    beyond: float = 0.0

    def judged(self, config: ExperimentConfig, lower: Actor, learner: Learner) -> Candidate:
        """With what the pair is worth on selection seeds, if there is anything to choose."""
        if building.selection_steps(config) == 0:
            return self
        batch = Batch(config.env, "select", seeds_of(config), config.ablation.select_windows)
        scores = Scores.of([play(config, Agents(lower, learner.actor), {}, start_learned, batch)])
        return self._replace(objective=scores.mean, beyond=scores.beyond)

    @property
    def rank(self) -> tuple[float, float]:
        """The higher, the better: bounds before the objective."""
        return -self.beyond, self.objective or 0.0


def seeds_of(config: ExperimentConfig) -> range:
    """Selection seeds of that choice: those that come after all that other choices meet."""
    first = gated.seeds_of(config).stop
    return range(first, first + config.upper.candidate_seeds)


def train_one(
    config: ExperimentConfig, lower: Actor, learner: Learner, seed: int, path: Path, ledger: Ledger, sink: Sink
) -> Candidate:
    """Train, save and evaluate a candidate that was just built: building it set all streams that it draws from.

    Or go on with it where that was cut short; a sink takes in its steps.
    """
    kept, started_s = Kept(), time.perf_counter()
    train(learner, config.upper.meta_steps, kept, ledger, config.checkpoint_s, sink, shows_figures=False)
    seconds = time.perf_counter() - started_s
    agents.save(learner, path, config)
    return Candidate(seed, path, learner.n_steps, seconds, kept.metrics, None).judged(config, lower, learner)


def train_elsewhere(
    config: ExperimentConfig, lower: Actor, beginning: Beginning | None, seed: int, path: Path, ledger: Ledger
) -> Candidate:
    """The same in a worker."""
    return train_one(config, lower, build(config, lower, seed, beginning), seed, path, ledger, Sink())


def untrained(config: ExperimentConfig, lower: Actor, beginning: Beginning, path: Path) -> Candidate:
    """A candidate that stays as it begins."""
    learner = build(config, lower, config.seed, beginning)
    agents.save(learner, path, config)
    return Candidate(config.seed, path, 0, 0.0, [], None).judged(config, lower, learner)


class Training:
    """All candidates of an experiment: the first here, others in workers meanwhile if there are any, else here as well.

    Parameters
    ----------
    workspace, sink
        The experiment, whose folder holds the lower agent, and where figures go.
    drafts
        Folder that candidates are saved in.
    seeds
        Of those that are trained.

    Attributes
    ----------
    done
        Candidates by number.
    """

    def __init__(self, workspace: Workspace, sink: Sink, drafts: Path, seeds: Sequence[int]) -> None:
        self._config, self._executor, self._sink = workspace.config, workspace.executor, sink
        self._ledger = workspace.ledger
        self._lower = agents.load_lower(workspace.folder, workspace.config)
        self._beginning: Beginning | None = None
        self._seeds, self._drafts = seeds, drafts
        self.done: dict[int, Candidate] = {}

    def begin(self, found: dict[str, Any]) -> None:
        """Find what to begin with, keep what was found, and let those that stay like that be candidates, last of all."""
        config, spec = self._config, envs.describe(self._config.env)
        selection = Selection(config, spec, Agents(self._lower), Jobs(self._executor, ledger=self._ledger))
        found |= find_best(selection)
        self._sink.advance(n_race_windows(config))
        begun = beginnings(config, spec, found)
        for number, beginning in enumerate(begun, len(self._seeds)):
            self.done[number] = untrained(config, self._lower, beginning, self._path(number))
            self._sink.advance(n_selection_windows(config))
        self._beginning = begun[-1]
        found[RACE.name] = found[RACE.name]._replace(windows=[])  # arms need none of them

    def run(self) -> None:
        """Train all."""
        left = [n for n in range(len(self._seeds)) if not self._recalls(n)]
        n_here = 1 if self._executor.n_workers > 1 else len(left)
        jobs = {self._submit(n): n for n in left[n_here:]}
        for n in left[:n_here]:
            self._train_here(n)
        for job in as_completed(jobs):
            self._keep(jobs[job], job.result())
            self._sink.advance(job.result().n_steps + n_selection_windows(self._config))

    def _recalls(self, n: int) -> bool:
        """Whether a candidate was trained before training was cut short."""
        before = self._ledger.get(str(n))
        if before is None or not self._path(n).is_file():
            return False
        self.done[n] = Candidate(**before)._replace(path=self._path(n))
        self._sink.advance(self.done[n].n_steps + n_selection_windows(self._config))
        return True

    def _keep(self, n: int, candidate: Candidate) -> None:
        self.done[n] = candidate
        self._ledger.put(str(n), candidate._asdict())

    def _path(self, n: int) -> Path:
        return self._drafts / f"{n}{SUFFIX}"

    def _submit(self, n: int) -> Future[Candidate]:
        ledger = self._ledger.below(str(n))
        arguments = self._config, self._lower, self._beginning, self._seeds[n], self._path(n), ledger
        return self._executor.submit(train_elsewhere, *arguments)

    def _train_here(self, n: int) -> None:
        learner, seed = build(self._config, self._lower, self._seeds[n], self._beginning), self._seeds[n]
        ledger = self._ledger.below(str(n))
        self._keep(n, train_one(self._config, self._lower, learner, seed, self._path(n), ledger, self._sink))
        self._sink.advance(n_selection_windows(self._config))

    @property
    def best_trained(self) -> Candidate:
        """Of those that learned anything, whose figures are shown where one that did not is kept."""
        return max((one for one in self.done.values() if one.n_steps > 0), key=lambda one: one.rank)

    @property
    def best(self) -> int:
        """Number of the best that is done, of equal ones the first untrained, or else the first."""
        return max(sorted(self.done), key=lambda n: (self.done[n].rank, self.done[n].n_steps == 0))


def n_selection_windows(config: ExperimentConfig) -> int:
    """Meta steps that a candidate is run on selection seeds."""
    return building.selection_steps(config) // lower_steps_per_window(config)


def n_race_windows(config: ExperimentConfig) -> int:
    """Meta steps of the race among fixed mixes, if there is one and it is run to its end."""
    return n_beginning_steps(config) // lower_steps_per_window(config)


def work_of(config: ExperimentConfig) -> Work:
    """Meta steps of all candidates, selection included."""
    n_steps = config.upper.candidates * (config.upper.meta_steps + n_selection_windows(config))
    n_steps += n_race_windows(config) + building.n_untrained(config) * n_selection_windows(config)
    return Work("phase 2: upper agent", n_steps, "meta steps")


def choose(workspace: Workspace) -> None:
    """Phase 2, over the folder's lower agent."""
    folder = workspace.folder
    with workspace.phase(NAME, work_of(workspace.config)) as sink, workspace.ledger.drafts() as drafts:
        training = Training(workspace, sink, drafts, building.seeds(workspace.config))
        if workspace.config.upper.from_fixed_best:
            training.begin(workspace.found)
        training.run()
        kept = training.done[training.best]
        log(with_objectives(kept.metrics or training.best_trained.metrics, training.done), sink)
        agents.copy(kept.path, folder.agent(NAME))
        folder.outdate(NAME)
    raced = workspace.found.get(RACE.name)
    workspace.upper = result_of(training, workspace.config, raced.n_lower_steps if raced else 0)


def with_objectives(metrics: Metrics, done: Mapping[int, Candidate]) -> Metrics:
    """Figures of training, the last of them with what each candidate is worth on selection seeds."""
    objectives = {f"upper/candidate_objective/{n}": done[n].objective for n in sorted(done)}
    *first, (last, step) = metrics
    return [*first, (last | {name: value for name, value in objectives.items() if value is not None}, step)]


def result_of(training: Training, config: ExperimentConfig, n_raced: int) -> UpperResult:
    """How training went, after a race of so many lower steps."""
    kept, of_all = training.done[training.best], [training.done[n] for n in sorted(training.done)]
    per_window = lower_steps_per_window(config)
    return {
        "meta_steps": kept.n_steps,
        "lower_steps_per_s": sum(one.n_steps for one in of_all) / sum(one.seconds for one in of_all) * per_window,
        "lower_steps": sum(one.n_steps * per_window + building.selection_steps(config) for one in of_all) + n_raced,
        "candidates": [
            {"seed": one.seed, "meta_steps": one.n_steps, "objective": one.objective, "kept": one is kept} for one in of_all
        ],
    }
