"""Who tells a value from a record, and when it refuses to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypedDict

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.basis import Basis
from hierarchy.off_policy.case import Case, Value
from hierarchy.off_policy.doubly_robust import weighted_doubly_robust
from hierarchy.off_policy.fitted import fitted_q
from hierarchy.off_policy.importance import behaviour, weighted_importance
from hierarchy.off_policy.overlap import Overlap, lacks_pieces, lacks_stretches, overlap_of
from hierarchy.off_policy.record import Record
from hierarchy.off_policy.resampling import counts_of, interval


class Estimator(NamedTuple):
    """One way to tell a value.

    Attributes
    ----------
    value
        From a case.
    lacks
        Why it means nothing for such an overlap; None if it does.
    n_effective
        Units that it rests on.
    """

    value: Callable[[Case], Value]
    lacks: Callable[[Overlap], str | None]
    n_effective: Callable[[Overlap], float]


ESTIMATORS: Mapping[str, Estimator] = {
    "fqe": Estimator(fitted_q, lacks_stretches, lambda overlap: overlap.effective_stretches),
    "wis": Estimator(weighted_importance, lacks_pieces, lambda overlap: overlap.effective_pieces),
    "dr": Estimator(weighted_doubly_robust, lacks_pieces, lambda overlap: overlap.effective_pieces),
}
"""By name. Another one is a module and an entry."""


class Estimate(TypedDict):
    """A value with its 95 % interval, and what it is above the behaviour's; numbers are None where it is refused."""

    mean: float | None
    ci95: list[float] | None
    gain: float | None
    gain_ci95: list[float] | None
    n_effective: float
    refused: str | None


class Estimates(TypedDict):
    """What is told of a policy. All values are mean discounted rewards over a piece."""

    behaviour: Estimate
    estimators: dict[str, Estimate]
    overlap: dict[str, float]


class Estimating:
    """Estimators over one record, for any number of policies.

    Parameters
    ----------
    record
        What the behaviour did.
    n_choices
        Actions that there are.
    discount
        Per action.
    """

    def __init__(self, record: Record, n_choices: int, discount: float) -> None:
        self._record, self._discount = record, discount
        self._basis, self._counts = Basis(record, n_choices), counts_of(record.n_episodes)

    def of(self, target: FloatArray) -> Estimates:
        """What is told of a policy with these probabilities ``(n_observations, n_choices)``.

        Raises
        ------
        ValueError
            They are not probabilities.
        """
        if not (np.isfinite(target).all() and (target >= 0.0).all() and np.allclose(target.sum(1), 1.0, atol=1e-5)):
            raise ValueError("target must be probabilities that add up to 1, got others")
        case = Case(self._record, target, self._discount, self._counts, self._basis)
        overlap, own = overlap_of(case), behaviour(case)
        return {
            "behaviour": self._told(own, own, float(len(self._record.piece))),
            "estimators": {name: self._by(one, case, overlap, own) for name, one in ESTIMATORS.items()},
            "overlap": overlap._asdict(),
        }

    def _by(self, estimator: Estimator, case: Case, overlap: Overlap, own: Value) -> Estimate:
        n_effective, refused = estimator.n_effective(overlap), estimator.lacks(overlap)
        if refused is not None:
            nothing: Estimate = {
                "mean": None,
                "ci95": None,
                "gain": None,
                "gain_ci95": None,
                "n_effective": n_effective,
                "refused": f"not enough overlap: {refused}",
            }
            return nothing
        return self._told(estimator.value(case), own, n_effective)

    def _told(self, value: Value, own: Value, n_effective: float) -> Estimate:
        n, gain = self._record.n_episodes, value.mean - own.mean
        return {
            "mean": value.mean,
            "ci95": interval(value.mean, value.draws, n, n_effective),
            "gain": gain,
            "gain_ci95": interval(gain, value.draws - own.draws[: len(value.draws)], n, n_effective),
            "n_effective": n_effective,
            "refused": None,
        }
