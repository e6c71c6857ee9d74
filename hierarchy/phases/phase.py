"""What a phase is, and what phases share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from envs.core.statistics import Spread
from hierarchy.arms.found import Chosen
from hierarchy.arms.gated import Taken
from hierarchy.arms.mix_race import Raced, Windowed
from hierarchy.arms.scores import Scores
from hierarchy.config import ExperimentConfig
from hierarchy.evidence import results
from hierarchy.evidence.episodes import Episodes
from hierarchy.evidence.results import LowerResult, UpperResult
from hierarchy.executors import Executor
from hierarchy.executors.inline import Inline
from hierarchy.explaining.tree import Tree
from hierarchy.protocols import SavedAgent, Source
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.storage.settings import config_in_progress
from hierarchy.tracking.sinks import Level, Sink, Work

RESULTS = (Chosen, Episodes, Raced, SavedAgent, Scores, Source, Spread, Taken, Tree, Windowed)
"""Types of what phases and their jobs find out or begin with, which a ledger keeps."""


Judged = Callable[[int, float], None]
"""Takes in how many candidates for the upper agent are done, and the best objective on selection seeds of those within the
bounds of their world. What it raises ends the experiment.
"""


def nobody(n_candidates: int, objective: float) -> None:
    """Nobody is told."""


@dataclass
class Workspace:
    """An experiment in progress: its settings, its folder, and where its figures and jobs go.

    Attributes
    ----------
    started_s
        ``time.perf_counter()`` when the experiment began; its total time counts from there.
    timings_s
        Seconds that phases took, by name.
    found
        What phases found on selection seeds that arms need as well, by name.
    lower, upper
        How training went; None where an earlier run trained and left no results.
    source
        What the agent that is trained begins as, if as another one.
    ledger
        Keeps what is done of the phase that runs, for who goes on with it.
    judged
        Told of every candidate for the upper agent.
    """

    config: ExperimentConfig
    folder: OutputFolder
    preset: str = ""
    sink: Sink = field(default_factory=Sink)
    executor: Executor = field(default_factory=Inline)
    started_s: float = field(default_factory=time.perf_counter)
    timings_s: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    lower: LowerResult | None = None
    upper: UpperResult | None = None
    source: Source | None = None
    ledger: Ledger = field(default_factory=Ledger)
    judged: Judged = nobody

    def get_state(self) -> dict[str, Any]:
        """What phases left here, rather than in the folder."""
        kept = {name: getattr(self, name) for name in ("timings_s", "found", "lower", "upper")}
        return {"config": plain_settings(self.config), **kept}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state of :meth:`get_state`.

        Raises
        ------
        SettingError
            Its world has another factory.
        """
        self.config = config_in_progress(state["config"], self.config)
        for name in ("timings_s", "found", "lower", "upper"):
            setattr(self, name, state[name])

    @contextmanager
    def phase(self, level: Level, work: Work) -> Iterator[Sink]:
        """The sink of a phase, whose time is taken."""
        started_s = time.perf_counter()
        with self.sink.run(level, level, work=work) as sink:
            yield sink
        self.timings_s[level] = time.perf_counter() - started_s

    def recall(self) -> None:
        """Take over how training went from the folder's last results, if this version wrote them."""
        before = results.of_this_version(self.folder.path)
        if before is not None:
            self.lower, self.upper = before["lower"], before["upper"]
            times = before["timings_s"]
            self.timings_s |= {name: times[name] for name in ("lower", "upper", "flat") if name in times}


def never(folder: OutputFolder) -> bool:
    """Always done anew."""
    return False


def nothing_to_check(config: ExperimentConfig) -> None:
    """It needs nothing but what every experiment does."""


@dataclass(frozen=True)
class Phase:
    """A stretch of work that takes what it needs from the folder and leaves there what it makes.

    Attributes
    ----------
    name
        Of the phase, and of its run in sinks.
    run
        Does the work.
    is_done
        Whether the folder holds what it makes.
    lasts
        Whether it is over for good once it is; else every process has to do it for itself.
    check
        Refuses settings that the phase can't be done with, before anything is written.
    """

    name: Level
    run: Callable[[Workspace], None]
    is_done: Callable[[OutputFolder], bool] = never
    lasts: bool = True
    check: Callable[[ExperimentConfig], None] = nothing_to_check


def remaining(phases: tuple[Phase, ...], folder: OutputFolder) -> tuple[Phase, ...]:
    """The first phase that is not done and all after it: later ones build on earlier ones."""
    for index, phase in enumerate(phases):
        if not phase.is_done(folder):
            return phases[index:]
    return ()
