"""What has come of a sweep, as plain values: every trial, the best one, and how much each setting matters."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

from hierarchy.sweeping.space import Values
from hierarchy.sweeping.storage import BEYOND, WHY, Storage

if TYPE_CHECKING:
    import optuna

TRIALS_NAME = "trials.json"
LEAST_TRIALS = 4
"""That are complete, for importances to say anything."""
State = Literal["complete", "pruned", "failed", "running"]


class TrialResult(TypedDict):
    """A trial; ``rungs`` has what it was worth at each rung that it came to, ``why`` the reason if it failed."""

    number: int
    state: State
    objective: float | None
    beyond: float
    values: Values
    rungs: dict[str, float]
    why: str


class SweepResults(TypedDict):
    """All trials by number, the number of the best, and shares of the objective's variance by setting."""

    best: int | None
    importances: dict[str, float]
    trials: list[TrialResult]


def summary(storage: Storage) -> SweepResults:
    """What is known so far, but for importances."""
    trials = [_result(storage, one) for one in storage.trials()]
    return {"best": best_of(trials), "importances": {}, "trials": trials}


def _result(storage: Storage, trial: optuna.trial.FrozenTrial) -> TrialResult:
    from optuna.trial import TrialState

    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    return {
        "number": trial.number,
        "state": states.get(trial.state, "running"),
        "objective": trial.value if trial.state == TrialState.COMPLETE else None,
        "beyond": trial.user_attrs.get(BEYOND, 0.0),
        "values": storage.values_of(trial),
        "rungs": {str(rung): value for rung, value in sorted(trial.intermediate_values.items())},
        "why": trial.user_attrs.get(WHY, ""),
    }


def best_of(trials: Sequence[TrialResult]) -> int | None:
    """Number of the best trial: within its bounds, or nearest to them, with the highest objective; of equals the first."""
    ended = [(-one["beyond"], one["objective"], -one["number"]) for one in trials if one["objective"] is not None]
    return -max(ended)[-1] if ended else None


def importances(storage: Storage, trials: Sequence[TrialResult]) -> dict[str, float]:
    """By fANOVA (Hutter et al., "An efficient approach for assessing hyperparameter importance", ICML 2014), largest first.

    None where too few trials are complete, or all are worth the same.
    """
    import optuna

    objectives = [one["objective"] for one in trials if one["objective"] is not None]
    if len(objectives) < LEAST_TRIALS or len(set(objectives)) == 1:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fanova = optuna.importance.FanovaImportanceEvaluator(seed=0)
        return optuna.importance.get_param_importances(storage.study, evaluator=fanova)
