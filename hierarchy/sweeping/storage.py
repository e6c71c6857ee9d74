"""The trials of a sweep, kept by Optuna in a file of the sweep's folder.

The file is an SQLite database, which a kill at any moment leaves as it was before the last change or after it. Of Optuna's
other backend for files, a journal, a kill may leave a lock that the next process waits half a minute for, and a line that
was cut short, on which every reader fails once another line follows it.

One process asks for trials and is told of their ends; what trials report on their way may come from the processes that they
run in. What a trial is asked to be depends on its number, the seed and the trials before it, not on who asks: one that was
being run when all was killed is still there, and is run again as what it is.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hierarchy.arms.tuning import tpe
from hierarchy.stopping import PrunedError
from hierarchy.sweeping.space import Space, Values

if TYPE_CHECKING:
    import optuna

STORAGE_NAME, STUDY_NAME = "trials.db", "sweep"
REDUCTION = 3
"""One trial in so many goes on after a rung."""
BEYOND, WHY = "beyond", "why"
"""Names of what is kept of a trial beside its value: what it exceeds its bounds by, and why it failed."""


class Asked(NamedTuple):
    """A trial that is to be run."""

    number: int
    values: Values


class Ended(NamedTuple):
    """How a trial ended.

    Attributes
    ----------
    objective
        Of its pair on selection seeds; None if it was pruned, or failed.
    beyond
        What mean costs exceed their bounds by there.
    why
        It failed; empty if it didn't.
    """

    objective: float | None = None
    beyond: float = 0.0
    why: str = ""


class Storage:
    """The trials of one sweep.

    Parameters
    ----------
    folder
        Of the sweep; the file is made when missing.
    space
        What is searched.
    seed
        Of the sampler.
    """

    def __init__(self, folder: Path, space: Space, seed: int) -> None:
        import optuna

        logging.getLogger("optuna").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self._space, self._seed = space, seed
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
        with _quiet():
            self.study = optuna.create_study(
                storage=f"sqlite:///{folder.resolve() / STORAGE_NAME}",
                study_name=STUDY_NAME,
                direction="maximize",
                pruner=pruner,
                load_if_exists=True,
            )

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All that were begun, by number."""
        from optuna.trial import TrialState

        return [one for one in self.study.get_trials() if one.state != TrialState.WAITING]

    def unfinished(self) -> list[Asked]:
        """Trials that were begun and have no end."""
        from optuna.trial import TrialState

        return [self._asked(self._open(one.number)) for one in self.trials() if one.state == TrialState.RUNNING]

    def ask(self, first: Mapping[str, object]) -> Asked:
        """One more trial; the very first has the values ``first``, if the space has them."""
        with _quiet():
            n_before = len(self.study.get_trials())
            kept = {name: one.kept(first[name]) for name, one in self._space.items()}
            if n_before == 0 and None not in kept.values():
                self.study.enqueue_trial(kept)
            self.study.sampler = tpe(_seed_of(self._seed, len(self.trials())))
            return self._asked(self.study.ask())

    def _asked(self, trial: optuna.Trial) -> Asked:
        with _quiet():
            return Asked(trial.number, {name: one.suggest(trial, name) for name, one in self._space.items()})

    def _open(self, number: int) -> optuna.Trial:
        import optuna

        self.study.sampler = tpe(_seed_of(self._seed, number))
        with _quiet():
            return optuna.Trial(self.study, self.study.get_trials()[number]._trial_id)

    def values_of(self, trial: optuna.trial.FrozenTrial) -> Values:
        """The settings of a trial."""
        return {name: one.suggest(trial, name) for name, one in self._space.items() if name in trial.params}

    def report(self, number: int, rung: int, objective: float) -> optuna.Trial:
        """What a trial is worth at a rung; what was reported before is not reported again."""
        trial = self._open(number)
        if rung not in self.study.get_trials()[number].intermediate_values:
            trial.report(objective, rung)
        return trial

    def judge(self, number: int, rung: int, objective: float) -> None:
        """The same, where Optuna says which trials go on.

        Raises
        ------
        PrunedError
            Not this one.
        """
        if self.report(number, rung, objective).should_prune():
            raise PrunedError

    def tell(self, number: int, ended: Ended) -> None:
        """A trial has ended."""
        from optuna.trial import TrialState

        trial = self._open(number)
        with _quiet():
            if ended.why:
                trial.set_user_attr(WHY, ended.why)
                self.study.tell(number, state=TrialState.FAIL)
            elif ended.objective is None:
                self.study.tell(number, state=TrialState.PRUNED)
            else:
                trial.set_constraint(BEYOND, ended.beyond)
                trial.set_user_attr(BEYOND, ended.beyond)
                self.study.tell(number, ended.objective)


def _seed_of(seed: int, number: int) -> int:
    """Of the sampler for one trial: one that began anew after a kill would draw again what it has drawn."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of what is experimental in Optuna."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
