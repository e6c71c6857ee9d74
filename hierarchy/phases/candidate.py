"""A candidate of phase 2: how it is made, in whatever process, and what it is worth on selection seeds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from hierarchy.arms import gated
from hierarchy.arms.learned import start_learned
from hierarchy.arms.running import Batch, play
from hierarchy.arms.scores import Scores
from hierarchy.arms.start import Agents
from hierarchy.building import candidates as building
from hierarchy.building.upper import Beginning, build
from hierarchy.config import ExperimentConfig
from hierarchy.nets.window_memory import WindowMemory
from hierarchy.phases.going_on import train
from hierarchy.phases.observers import Kept, Metrics
from hierarchy.protocols import Actor, Learner, Source, UpperLearner
from hierarchy.storage import agents
from hierarchy.storage.ledger import Ledger
from hierarchy.tracking.sinks import Sink


class Draft(NamedTuple):
    """An upper agent that is to be made: its seed, what it begins with, where it is to be saved, and what it remembers
    windows by, if it does.
    """

    seed: int
    beginning: Beginning | None
    path: Path
    memory: WindowMemory | None = None

    @property
    def source(self) -> Source | None:
        """The agent of another experiment that it begins as, if it does."""
        return None if self.beginning is None else self.beginning.source

    def build(self, config: ExperimentConfig, lower: Actor) -> UpperLearner:
        """The agent before it is trained."""
        return build(config, lower, self.seed, self.beginning, self.memory)

    def made(self, config: ExperimentConfig, learner: Learner, seconds: float, metrics: Metrics) -> Candidate:
        """The candidate that came of it, saved."""
        agents.save(learner, self.path, config, self.source)
        return Candidate(self.seed, self.path, learner.n_steps, seconds, metrics, None)


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

    def judged(self, config: ExperimentConfig, lower: Actor, learner: Learner, batch: Batch | None) -> Candidate:
        """With what the pair is worth on selection seeds, if there is anything to choose."""
        if batch is None:
            return self
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


def selection_batch(config: ExperimentConfig, fine_tunes: bool) -> Batch | None:
    """Episodes that candidates are held against each other in; None where there is nothing to choose."""
    if building.selection_steps(config, fine_tunes) == 0:
        return None
    return Batch(config.env, "select", seeds_of(config), config.ablation.select_windows)


def train_one(
    config: ExperimentConfig, lower: Actor, draft: Draft, batch: Batch | None, ledger: Ledger, sink: Sink | None = None
) -> Candidate:
    """Build, train, save and evaluate a candidate, in whatever process: building it sets all streams that it draws from.

    Or go on with it where that was cut short; a sink takes in its steps.
    """
    learner, kept, started_s = draft.build(config, lower), Kept(), time.perf_counter()
    train(learner, config.upper.meta_steps, kept, ledger, config.checkpoint_s, sink or Sink(), shows_figures=False)
    seconds = time.perf_counter() - started_s
    return draft.made(config, learner, seconds, kept.metrics).judged(config, lower, learner, batch)


def untrained(config: ExperimentConfig, lower: Actor, draft: Draft, batch: Batch | None) -> Candidate:
    """A candidate that stays as it begins."""
    learner = draft.build(config, lower)
    return draft.made(config, learner, 0.0, []).judged(config, lower, learner, batch)
