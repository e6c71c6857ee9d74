"""Fitted Q evaluation: values of actions by regression, from the last action of a piece to the first.

Not that of d3rlpy (`DiscreteFQE`): it asks an algorithm of d3rlpy for its best action, so policies that draw actions or
remember are none to it, and it knows no horizon. A network that is trained by gradient steps could be fitted once; least
squares on fixed features can be fitted to every resample of the episodes, which is what an interval takes (Hao et al.,
"Bootstrapping fitted Q-evaluation for off-policy inference", ICML 2021), and gives the same bits each time.
"""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from hierarchy.off_policy.case import Case, Value

N_REFITS = 50
"""Resamples that values are fitted to anew: their spread is right within a tenth."""


class Fitted:
    """Values of a policy (Le, Voloshin and Yue, "Batch policy learning under constraints", ICML 2019).

    ``Q_k(o, a)`` is the discounted reward of ``k`` actions of which the first is ``a``: the regression of
    ``r + discount * sum_b pi(b | o') Q_{k-1}(o', b)``, with ``Q_0 = 0``. All actions on record take part in each. Values are
    held within what ``k`` rewards on record can add up to.

    Parameters
    ----------
    case
        Whose.
    expected
        Features of the policy's action at every observation ``(n_observations, n_coefficients)``.
    counts
        How often each episode takes part in each of several fits, ``(n_fits, n_episodes)``.

    Attributes
    ----------
    coefficients
        Of ``Q_1`` to ``Q_horizon``, ``(horizon, n_coefficients, n_fits)``.
    """

    def __init__(self, case: Case, expected: FloatArray, counts: FloatArray) -> None:
        record = case.record
        self._expected, self._case = expected, case
        sums = np.cumsum(case.discounts)
        self._low, self._high = min(0.0, record.reward.min()) * sums, max(0.0, record.reward.max()) * sums
        next_features, ended = expected[record.row + 1], record.terminated[:, None]
        following, fits = np.zeros((len(record.reward), len(counts))), []
        for k in range(record.horizon):
            fits.append(case.basis.fit(counts, record.reward[:, None] + case.discount * following))
            following = np.where(ended, 0.0, self._held(next_features @ fits[-1], k))
        self.coefficients: FloatArray = np.stack(fits)

    def _held(self, values: FloatArray, k: int) -> FloatArray:
        return values.clip(self._low[k], self._high[k])

    def states(self, fit: int) -> FloatArray:
        """Values of the policy before each action of a piece, for the actions that are left, ``(n_pieces, horizon)``."""
        return self._in_pieces(self._expected[self._case.record.row], fit)

    def actions(self, fit: int) -> FloatArray:
        """Those of the actions on record, likewise."""
        return self._in_pieces(self._case.basis.taken, fit)

    def _in_pieces(self, features: FloatArray, fit: int) -> FloatArray:
        """Values by features ``(n_actions, n_coefficients)`` of each action, for the actions that are left of its piece."""
        record = self._case.record
        values = np.clip(features @ self.coefficients[:, :, fit].T, self._low, self._high)[:, ::-1]
        return np.stack([record.in_pieces(values[:, at])[:, at] for at in range(record.horizon)], axis=1)

    def starts(self) -> FloatArray:
        """Values where pieces begin, ``(n_pieces, n_fits)``."""
        record = self._case.record
        first = self._expected[record.row[record.piece[:, 0]]]
        return self._held(first @ self.coefficients[-1], record.horizon - 1)


def expected_features(case: Case) -> FloatArray:
    """Features of the policy's action at every observation ``(n_observations, n_coefficients)``."""
    return case.basis.of(case.target, np.arange(len(case.target)))


def fitted_q(case: Case) -> Value:
    """The mean over pieces of the value where each begins, fitted to all, and anew to each of some resamples."""
    record = case.record
    counts = np.concatenate([np.ones((1, record.n_episodes)), case.counts[:N_REFITS]])
    starts, of_pieces = Fitted(case, expected_features(case), counts).starts(), counts[:, record.of_piece].T
    found = (starts * of_pieces).sum(0) / of_pieces.sum(0)
    return Value(float(found[0]), found[1:])
