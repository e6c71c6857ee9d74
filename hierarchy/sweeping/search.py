"""Trials are asked for, run side by side, and told of, until there are as many as were wanted.

Here Optuna does it all: its sampler says what the next trial is, its pruner, asynchronous successive halving, which go on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path

from envs.core.validation import one_line
from hierarchy.executors import Executor
from hierarchy.phases.checks import check_experiment
from hierarchy.storage.files import plain_settings, write_json
from hierarchy.storage.folder import trial_folder
from hierarchy.sweeping.space import Space
from hierarchy.sweeping.storage import Asked, Ended, Storage
from hierarchy.sweeping.summary import TRIALS_NAME, summary
from hierarchy.sweeping.sweep import Sweep, flat
from hierarchy.sweeping.trial import Trial, forget, run_trial


class Search:
    """A sweep in progress.

    Parameters
    ----------
    sweep, out
        What is to be done, and its folder.
    run
        Key of its run; None without tracking.
    storage
        Of its trials.
    advance
        Takes in how many trials have ended.
    """

    def __init__(self, sweep: Sweep, out: Path, run: str | None, storage: Storage, advance: Callable[[int], object]) -> None:
        self.sweep, self.out, self.storage = sweep, out, storage
        self._run, self._advance = run, advance
        self._unfinished = storage.unfinished()
        advance(len(storage.trials()) - len(self._unfinished))

    def next(self) -> Trial | None:
        """The next trial to be run, those that were cut short first; None if there are as many as were wanted."""
        while (asked := self._asked()) is not None:
            try:
                config = replace(self.sweep.config_of(asked.values), executor="inline")  # it has a worker of its own
                check_experiment(config)
            except ValueError as error:
                self.end(asked.number, Ended(why=one_line(error)))
                continue
            return Trial(asked.number, config, trial_folder(self.out, asked.number), self.sweep.preset, self._run)
        return None

    def _asked(self) -> Asked | None:
        if self._unfinished:
            return self._unfinished.pop(0)
        if len(self.storage.trials()) >= self.sweep.n_trials:
            return None
        first = flat(plain_settings(self.sweep.base))
        return self.storage.ask({name: first.get(name) for name in self.sweep.space})

    def end(self, number: int, ended: Ended) -> None:
        """A trial has ended: that is kept, and of the trials so far what is known."""
        self.storage.tell(number, ended)
        if ended.objective is None:
            forget(trial_folder(self.out, number))
        write_json(summary(self.storage), self.out / TRIALS_NAME)
        self._advance(1)


def run_here(trial: Trial, folder: Path, space: Space, seed: int) -> Ended:
    """Run a trial in whatever process; Optuna's pruner says at every rung whether it goes on."""
    storage = Storage(folder, space, seed)

    def judged(rung: int, objective: float) -> None:
        storage.judge(trial.number, rung, objective)

    return run_trial(trial, judged)


def run_all(search: Search, workers: Executor) -> None:
    """Run trials side by side, no more at a time than there are workers."""
    shared = search.out, search.sweep.space, search.sweep.base.seed
    running: dict[Future[Ended], int] = {}
    while True:
        while len(running) < workers.n_workers and (trial := search.next()) is not None:
            running[workers.submit(run_here, trial, *shared)] = trial.number
        if not running:
            return
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            search.end(running.pop(future), future.result())
