"""What estimators are given, and what they give."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.basis import Basis
from hierarchy.off_policy.record import Record


class Value(NamedTuple):
    """A value as an estimator has it.

    Attributes
    ----------
    mean
        Discounted reward over a piece.
    draws
        The same of every resample of the episodes, ``(n_resamples,)``.
    """

    mean: float
    draws: FloatArray


class Case:
    """A record, a policy to evaluate, and resamples of the record's episodes.

    Parameters
    ----------
    record
        What the behaviour did.
    target
        Probabilities of the policy's actions ``(n_observations, n_choices)``.
    discount
        Per action.
    counts
        How often each resample has each episode ``(n_resamples, n_episodes)``.
    basis
        What values of actions are made of; cases of the same record and resamples share one.
    """

    def __init__(self, record: Record, target: FloatArray, discount: float, counts: FloatArray, basis: Basis) -> None:
        self.record, self.target, self.counts, self.basis = record, target, counts, basis
        self.discount = discount
        self.discounts: FloatArray = np.power(discount, np.arange(record.horizon, dtype=np.float64))

    @cached_property
    def ratios(self) -> FloatArray:
        """How much likelier each action on record is to the policy than it was to the behaviour, ``(n_actions,)``."""
        record = self.record
        ratios: FloatArray = self.target[record.row, record.action] / record.propensity
        return ratios

    @cached_property
    def weights(self) -> FloatArray:
        """Products of the ratios of a piece up to each of its actions, ``(n_pieces, horizon)``."""
        return np.asarray(np.cumprod(self.record.in_pieces(self.ratios, ended=1.0), axis=1), np.float64)
