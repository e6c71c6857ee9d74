"""One trial: a whole experiment but for the comparison of arms, in whatever process.

What it is worth is the mean objective of its pair on selection seeds that no choice within it has met, and that are the same
for all trials. No evaluation seed is met: they are for who trains the best one and compares it.

Its rungs, at which it may be ended, are the candidates for its upper agent. Each is played on selection seeds anyway, the
same in all trials, so what the best of them so far is worth costs nothing, and is the very objective after training that is
as long as it will ever be. The objective of windows in training would be none of that: it is of other seeds and explores,
and an agent that learns slowly at first would be ended for it. Where `from_fixed_best` is set, the first rung comes before
any upper agent is trained: what the lower agent is good for under the best fixed mix. Training the lower agent has no rung,
for without an upper one there is no objective to go by. A trial with one candidate and nothing to hold it against is never
ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from envs.core.finite import NonFiniteError
from envs.core.validation import one_line
from hierarchy.config import ExperimentConfig
from hierarchy.experiment import Experiment
from hierarchy.phases.compiling import COMPILING
from hierarchy.phases.phase import RESULTS, Judged
from hierarchy.phases.scoring import SCORING, read_score
from hierarchy.phases.training import LOWER, UPPER
from hierarchy.phases.tuning import TUNING
from hierarchy.stopping import PrunedError
from hierarchy.storage.folder import OutputFolder
from hierarchy.storage.ledger import Ledger
from hierarchy.sweeping.storage import Ended


class Trial(NamedTuple):
    """What a process is told of a trial.

    Attributes
    ----------
    folder
        Its own, which holds what is done of it if it was cut short.
    sweep_run
        Key of the sweep's run; None without tracking.
    """

    number: int
    config: ExperimentConfig
    folder: Path
    preset: str
    sweep_run: str | None


def run_trial(trial: Trial, judged: Judged) -> Ended:
    """Run a trial or go on with it; ``judged`` is told of every rung."""
    folder = OutputFolder(trial.folder)
    if not folder.score.is_file():
        experiment = Experiment(trial.config, trial.folder, trial.preset, study_run=trial.sweep_run, level="trial")
        workspace = experiment.workspace()
        workspace.judged = judged
        try:
            experiment.run((COMPILING, TUNING, LOWER, UPPER, SCORING), workspace)
        except PrunedError:
            return Ended()
        except NonFiniteError as error:
            return Ended(why=one_line(error))
    score = read_score(folder)
    return Ended(score.objective, score.beyond)


def forget(folder: Path) -> None:
    """Remove what a trial that has ended would go on from."""
    Ledger(OutputFolder(folder).progress, RESULTS).clear()
