"""Phase 2: upper agents of several seeds are trained over one lower agent, and the best on selection seeds is kept.

Where they begin at the best fixed mix, that is found first, and one that sets it all the time is a candidate, too. So is one
that stays as the others begin where they begin with a mix for every state, learned from the race for the fixed one.

Where all begin as an agent of another experiment instead, that agent is a candidate as it is: what is kept is no worse on
selection seeds than it, nor than the fixed mix where that is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import envs
from hierarchy.arms.beginnings import beginnings, n_beginning_steps
from hierarchy.arms.fixed import find_best
from hierarchy.arms.jobs import Jobs
from hierarchy.arms.mix_race import RACE
from hierarchy.arms.running import Batch
from hierarchy.arms.selection import Selection
from hierarchy.arms.start import Agents
from hierarchy.building import candidates as building
from hierarchy.building import memory as memories
from hierarchy.building.upper import Beginning
from hierarchy.building.windows import lower_steps_per_window
from hierarchy.config import ExperimentConfig
from hierarchy.evidence.results import UpperResult
from hierarchy.nets.window_memory import WindowMemory, fit_with, fitted_arrays
from hierarchy.phases.candidate import Candidate, Draft, selection_batch, train_one, untrained
from hierarchy.phases.observers import Metrics, log
from hierarchy.phases.phase import Workspace
from hierarchy.protocols import Actor
from hierarchy.storage import agents
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.saved import SUFFIX
from hierarchy.tracking.sinks import Level, Sink, Work

NAME: Level = "upper"
MEMORY = "memory"
"""Names in the ledger what the memory of all candidates was fitted to be."""


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
        self._ledger, self._judged = workspace.ledger, workspace.judged
        self._lower = agents.load_lower(workspace.folder, workspace.config)
        self._source = workspace.source
        self._batch = selection_batch(workspace.config, self.fine_tunes)
        self._n_windows = n_selection_windows(workspace.config, self.fine_tunes)
        self._beginning: Beginning | None = None
        self._memory = self._remembered()
        self._seeds, self._drafts = seeds, drafts
        self.done: dict[int, Candidate] = {}

    @property
    def fine_tunes(self) -> bool:
        """Whether candidates begin as an agent of another experiment."""
        return self._source is not None

    def _remembered(self) -> WindowMemory | None:
        """What all candidates remember windows by: fitted here, or before training was cut short, or by the source."""
        if self._source is not None:
            of_source: WindowMemory | None = getattr(self._config.upper.actor(self._source.agent), "memory", None)
            return of_source
        kept = self._ledger.get(MEMORY)
        if kept is not None:
            memory = memories.blank(self._config)
            if memory is not None:
                fit_with(memory, kept)
            return memory
        memory = memories.fitted(self._config, self._lower)
        if memory is not None:
            self._ledger.put(MEMORY, fitted_arrays(memory))
        return memory

    def begin(self, found: dict[str, Any]) -> None:
        """Find what to begin with, keep what was found, and let those that stay like that be candidates, last of all."""
        begun = self._raced(found) if self._config.upper.from_fixed_best else []
        if self._source is not None:
            begun.append(Beginning(begun[0].mix if begun else None, source=self._source))
        for number, beginning in enumerate(begun, len(self._seeds)):
            draft = Draft(self._config.seed, beginning, self._path(number), self._memory)
            self._add(number, untrained(self._config, self._lower, draft, self._batch))
            self._sink.advance(self._n_windows)
        self._beginning = begun[-1] if begun else None

    def _raced(self, found: dict[str, Any]) -> list[Beginning]:
        """What the race for the best fixed mix lets one begin with; with nothing but that mix where there is a source."""
        config, spec = self._config, envs.describe(self._config.env)
        if self._source is not None:
            config = replace(config, upper=replace(config.upper, ahead_windows=0))
        selection = Selection(config, spec, Agents(self._lower), Jobs(self._executor, ledger=self._ledger))
        found |= find_best(selection)
        self._sink.advance(n_race_windows(config))
        begun = beginnings(config, spec, found, self._memory)
        found[RACE.name] = found[RACE.name]._replace(windows=[])  # arms need none of them
        return begun

    def run(self) -> None:
        """Train all."""
        left = [n for n in range(len(self._seeds)) if not self._recalls(n)]
        n_here = 1 if self._executor.n_workers > 1 else len(left)
        jobs = {self._executor.submit(train_one, *self._work(n)): n for n in left[n_here:]}
        for n in left[:n_here]:
            self._keep(n, train_one(*self._work(n), self._sink))
            self._sink.advance(self._n_windows)
        for job in as_completed(jobs):
            self._keep(jobs[job], job.result())
            self._sink.advance(job.result().n_steps + self._n_windows)

    def _recalls(self, n: int) -> bool:
        """Whether a candidate was trained before training was cut short."""
        before = self._ledger.get(str(n))
        if before is None or not self._path(n).is_file():
            return False
        self._add(n, Candidate(**before)._replace(path=self._path(n)))
        self._sink.advance(self.done[n].n_steps + self._n_windows)
        return True

    def _keep(self, n: int, candidate: Candidate) -> None:
        self._ledger.put(str(n), candidate._asdict())
        self._add(n, candidate)

    def _add(self, n: int, candidate: Candidate) -> None:
        self.done[n] = candidate
        within = [one.objective for one in self.done.values() if one.objective is not None and one.beyond <= 0]
        if within:
            self._judged(len(self.done), max(within))

    def _path(self, n: int) -> Path:
        return self._drafts / f"{n}{SUFFIX}"

    def _work(self, n: int) -> tuple[ExperimentConfig, Actor, Draft, Batch | None, Ledger]:
        """What it takes to train one of them, see :func:`train_one`."""
        draft = Draft(self._seeds[n], self._beginning, self._path(n), self._memory)
        return self._config, self._lower, draft, self._batch, self._ledger.below(str(n))

    @property
    def best_trained(self) -> Candidate:
        """Of those that learned anything, whose figures are shown where one that did not is kept."""
        return max((one for one in self.done.values() if one.n_steps > 0), key=lambda one: one.rank)

    @property
    def best(self) -> int:
        """Number of the best that is done, of equal ones the first untrained, or else the first."""
        return max(sorted(self.done), key=lambda n: (self.done[n].rank, self.done[n].n_steps == 0))


def n_selection_windows(config: ExperimentConfig, fine_tunes: bool = False) -> int:
    """Meta steps that a candidate is run on selection seeds."""
    return building.selection_steps(config, fine_tunes) // lower_steps_per_window(config)


def n_race_windows(config: ExperimentConfig) -> int:
    """Meta steps of the race among fixed mixes, if there is one and it is run to its end."""
    return n_beginning_steps(config) // lower_steps_per_window(config)


def work_of(config: ExperimentConfig, fine_tunes: bool = False) -> Work:
    """Meta steps of all candidates, selection included."""
    n_candidates = config.upper.candidates + building.n_untrained(config, fine_tunes)
    n_steps = config.upper.candidates * config.upper.meta_steps + n_race_windows(config)
    n_steps += building.fitting_steps(config, fine_tunes) // lower_steps_per_window(config)
    n_steps += n_candidates * n_selection_windows(config, fine_tunes)
    return Work("phase 2: upper agent", n_steps, "meta steps")


def choose(workspace: Workspace) -> None:
    """Phase 2, over the folder's lower agent."""
    folder, work = workspace.folder, work_of(workspace.config, workspace.source is not None)
    with workspace.phase(NAME, work) as sink, workspace.ledger.drafts() as drafts:
        training = Training(workspace, sink, drafts, building.seeds(workspace.config))
        sink.advance(
            building.fitting_steps(workspace.config, training.fine_tunes) // lower_steps_per_window(workspace.config)
        )
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
    per_window, selecting = lower_steps_per_window(config), building.selection_steps(config, training.fine_tunes)
    fitting = building.fitting_steps(config, training.fine_tunes)
    return {
        "meta_steps": kept.n_steps,
        "lower_steps_per_s": sum(one.n_steps for one in of_all) / sum(one.seconds for one in of_all) * per_window,
        "lower_steps": sum(one.n_steps * per_window + selecting for one in of_all) + n_raced + fitting,
        "candidates": [
            {
                "seed": one.seed,
                "meta_steps": one.n_steps,
                "objective": one.objective,
                "beyond": one.beyond,
                "kept": one is kept,
            }
            for one in of_all
        ],
    }
