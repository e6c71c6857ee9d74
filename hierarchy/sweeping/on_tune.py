"""Trials as those of Ray Tune: its asynchronous successive halving says which go on, Optuna's sampler what the next one is.

Whoever enters has connected to Ray. What is asked for and told of is the storage of the sweep, as without Ray: a sweep may
be begun on one and gone on with on the other. That is why Tune is given a searcher of our own and not its `OptunaSearch`,
and is not restored: both know trials by names that Tune makes up, and keep what they know in pickles that are written every
few seconds. After a kill a trial that had begun since then would be there twice. Tune begins anew instead, with the trials
that have no end, and is told at which rungs others were.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from envs.core.validation import SettingError
from hierarchy.executors.clusters import variables
from hierarchy.executors.on_ray import carried
from hierarchy.stopping import PrunedError
from hierarchy.storage.files import plain_settings
from hierarchy.storage.folder import trial_folder
from hierarchy.storage.settings import config_from
from hierarchy.sweeping.search import Search
from hierarchy.sweeping.storage import REDUCTION, Ended
from hierarchy.sweeping.summary import summary
from hierarchy.sweeping.trial import Trial, run_trial
from hierarchy.tracking.journal import end_left

if TYPE_CHECKING:
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search import Searcher

JOB, RUNG, OBJECTIVE, ENDED = "job", "rung", "objective", "ended"
"""Names of what a trial is told, and of what it reports: at a rung, and at its end."""
MOST_RUNGS = 1_000
"""No trial has as many."""
ENDING_S = 20.0
"""That processes of trials are given to go."""
QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}
"""Tune writes no logs of its own, and leaves interrupts to this process."""


def is_connected() -> bool:
    """Whether this process is connected to Ray."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def run_on_tune(search: Search, n_workers: int, threads: int) -> None:
    """Run all trials, so many side by side.

    Raises
    ------
    RuntimeError
        A trial raised what is no end of a trial; it is tried again when the sweep goes on.
    """
    from ray import tune

    broken: list[str] = []
    with variables(QUIET), TemporaryDirectory() as passing:
        tuner = tune.Tuner(
            tune.with_resources(_trainable(carried()), {"cpu": threads}),
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=_searcher(search, broken),
                scheduler=_scheduler(search),
                max_concurrent_trials=n_workers,
                reuse_actors=False,
            ),
            run_config=tune.RunConfig(name="sweep", storage_path=passing, verbose=0),
        )
        tuner.fit()
    _end_pruned(search)
    if broken:
        raise RuntimeError(broken[0])


def _end_pruned(search: Search) -> None:
    """End the runs of trials that Tune has ended: their processes go before they have told how they ended."""
    folders = [
        trial_folder(search.out, one["number"]) for one in summary(search.storage)["trials"] if one["state"] == "pruned"
    ]
    last_s = time.monotonic() + ENDING_S
    for folder in folders:
        while True:
            try:
                end_left(folder)
            except SettingError:
                if time.monotonic() > last_s:
                    break
                time.sleep(0.2)
            else:
                break


def _trainable(needed: Mapping[str, str]) -> Callable[[dict[str, str]], None]:
    """Runs a trial in a worker, with the variables that it needs there, as :func:`_searcher` describes it."""

    def trainable(told: dict[str, str]) -> None:
        os.environ.update(needed)
        _run(json.loads(told[JOB]))

    return trainable


def _run(job: Mapping[str, Any]) -> None:
    from ray import tune

    os.chdir(job["here"])
    config = config_from(job["config"], trusts_factory=True)  # of who asked for the sweep
    trial = Trial(job["number"], config, Path(job["folder"]), job["preset"], job["sweep_run"])

    def judged(rung: int, objective: float) -> None:
        try:
            tune.report({RUNG: rung, OBJECTIVE: objective})
        except SystemExit:  # that is how Tune ends a trial
            raise PrunedError from None

    ended = run_trial(trial, judged)
    tune.report({ENDED: json.dumps(ended._asdict()), OBJECTIVE: ended.objective or 0.0})


def _searcher(search: Search, broken: list[str]) -> Searcher:
    """What hands the trials of a search to Tune, and takes in their ends; what broke is added to a list."""
    from ray.tune.search import Searcher

    class Asking(Searcher):
        def __init__(self) -> None:
            super().__init__(metric=OBJECTIVE, mode="max")
            self._numbers: dict[str, int] = {}

        def suggest(self, trial_id: str) -> dict[str, Any] | None:
            trial = None if broken else search.next()
            if trial is None:
                return Searcher.FINISHED  # type: ignore[return-value]  # a word, in spite of what it says
            self._numbers[trial_id] = trial.number
            told = trial._asdict() | {"config": plain_settings(trial.config), "folder": str(trial.folder)}
            return {JOB: json.dumps({**told, "here": os.getcwd()})}

        def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
            if RUNG in result:
                search.storage.report(self._numbers[trial_id], result[RUNG], result[OBJECTIVE])

        def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
            number = self._numbers.pop(trial_id)
            if error:
                broken.append(f"trial {number} broke off, see the output of Ray")
            elif result is not None:
                search.end(number, Ended(**json.loads(result[ENDED])) if ENDED in result else Ended())

        def save(self, checkpoint_path: str) -> None:
            """The storage of the sweep has it all."""

        def restore(self, checkpoint_path: str) -> None:
            """It is never restored."""

        def __reduce__(self) -> tuple[type, tuple[()]]:
            """Tune keeps everything that it is given; nothing is made of this."""
            return object, ()

    return Asking()


def _scheduler(search: Search) -> ASHAScheduler:
    """Tune's asynchronous successive halving, told of the rungs that trials came to before."""
    from ray.tune.schedulers import ASHAScheduler

    scheduler = ASHAScheduler(RUNG, OBJECTIVE, "max", max_t=MOST_RUNGS, grace_period=1, reduction_factor=REDUCTION)
    unfinished = {one.number for one in search.storage.unfinished()}
    nobody: Any = None
    for trial in search.storage.trials():
        if trial.number in unfinished:  # it comes to its rungs again
            continue
        before: Any = SimpleNamespace(trial_id=f"before-{trial.number}")
        scheduler.on_trial_add(nobody, before)
        for rung, objective in sorted(trial.intermediate_values.items()):
            scheduler.on_trial_result(nobody, before, {RUNG: rung, OBJECTIVE: objective})
    return scheduler
