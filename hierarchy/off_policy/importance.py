"""Importance sampling: what the behaviour got, weighed by how much likelier the policy was to do the same."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.case import Case, Value


def effective_size(weights: FloatArray) -> float:
    """How many equal weights tell as much as these ``(n,)`` do (Kish, "Survey Sampling", 1965); 0 where all are 0."""
    largest = float(weights.max(initial=0.0))
    if largest <= 0.0:
        return 0.0
    if not np.isfinite(largest):
        return 1.0  # one that is beyond all numbers leaves nothing to the others
    scaled = weights / largest
    return float(scaled.sum()) ** 2 / float((scaled**2).sum())


def effective_pieces(case: Case) -> float:
    """That of the weights of pieces, at the action where it is least."""
    return min(effective_size(weights) for weights in case.weights.T)


def mean_over(counts: FloatArray, sums: FloatArray, norms: FloatArray) -> FloatArray:
    """Ratios of sums over episodes ``(n_episodes, horizon)`` by resample, ``(n_resamples, horizon)``; NaN for none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: FloatArray = (counts @ sums) / (counts @ norms)
    return found


def all_and_resampled(case: Case) -> FloatArray:
    """Every episode once, and below it the resamples, ``(1 + n_resamples, n_episodes)``."""
    return np.concatenate([np.ones((1, case.record.n_episodes)), case.counts])


def value_of(by_step: FloatArray, discounts: FloatArray) -> Value:
    """Of means by action ``(1 + n_resamples, horizon)``, all episodes first."""
    values = by_step @ discounts
    return Value(float(values[0]), values[1:])


def weighted_importance(case: Case) -> Value:
    """Weighted per-decision importance sampling (Precup, Sutton and Singh, "Eligibility traces for off-policy policy
    evaluation", ICML 2000): at each action of a piece the mean reward by the weights up to there, which are made to sum to
    one. It is consistent, a little biased, and of less variance than weights as they are.
    """
    record, weights = case.record, case.weights
    sums = record.by_episode(weights * record.in_pieces(record.reward))
    return value_of(mean_over(all_and_resampled(case), sums, record.by_episode(weights)), case.discounts)


def behaviour(case: Case) -> Value:
    """What the behaviour itself got."""
    record = case.record
    rewards = record.in_pieces(record.reward)
    sums, norms = record.by_episode(rewards), record.by_episode(np.ones_like(rewards))
    return value_of(mean_over(all_and_resampled(case), sums, norms), case.discounts)
