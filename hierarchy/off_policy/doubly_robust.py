"""Doubly robust: fitted values, put right by weighed rewards where they are wrong."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.case import Case, Value
from hierarchy.off_policy.fitted import Fitted, expected_features
from hierarchy.off_policy.importance import all_and_resampled, mean_over, value_of

N_FOLDS = 5
"""Parts of the episodes, each valued by what was fitted to the others: what was fitted to a reward can't put it right."""


def weighted_doubly_robust(case: Case) -> Value:
    """Per decision (Jiang and Li, "Doubly robust off-policy value evaluation for reinforcement learning", ICML 2016), with
    weights that are made to sum to one at each action (Thomas and Brunskill, "Data-efficient off-policy policy evaluation
    for reinforcement learning", ICML 2016).
    """
    return corrected(case, *cross_fitted(case))


def cross_fitted(case: Case) -> tuple[FloatArray, FloatArray]:
    """Values of the policy before each action of a piece, and of that action, ``(n_pieces, horizon)`` each."""
    record, expected = case.record, expected_features(case)
    fold = np.arange(record.n_episodes) % N_FOLDS
    fitted = Fitted(case, expected, (fold != np.arange(N_FOLDS)[:, None]).astype(np.float64))
    states, actions = np.zeros(record.piece.shape), np.zeros(record.piece.shape)
    for number in range(N_FOLDS):
        own = fold[record.of_piece] == number
        states[own], actions[own] = fitted.states(number)[own], fitted.actions(number)[own]
    return states, actions


def corrected(case: Case, states: FloatArray, actions: FloatArray) -> Value:
    """The mean of values, corrected by what came instead of them.

    Parameters
    ----------
    states, actions
        Values of the policy before each action of a piece, for the actions that are left, and of that action,
        ``(n_pieces, horizon)``; 0 after the end of an episode.
    """
    record, weights = case.record, case.weights
    before = np.concatenate([np.ones((len(weights), 1)), weights[:, :-1]], axis=1)
    counts = all_and_resampled(case)
    missing = record.in_pieces(record.reward) - actions
    corrections = mean_over(counts, record.by_episode(weights * missing), record.by_episode(weights))
    values = mean_over(counts, record.by_episode(before * states), record.by_episode(before))
    return value_of(corrections + values, case.discounts)
