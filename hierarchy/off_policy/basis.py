"""What values of actions are sums of: features of observations, by themselves and for every action, fixed by the record."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from envs.core.arrays import Array, FloatArray
from envs.core.layout import context_of, world_of
from hierarchy.off_policy.record import Record

MOST_COMPONENTS = 80
"""Principal components of observations that values depend on: nearly all there are of two servers, most of four."""
MOST_OF_ACTIONS = 400
"""Coefficients of all actions together; where there are many actions each has fewer components of its own."""
RIDGE = 1.0
"""Weight of the squares of coefficients: as of one action on record, with a value of 0 for that feature."""
MOST_SPREADS = 5.0
"""Standard deviations within which a component is held: one strange observation must not make the value of a policy."""


class Basis:
    """Features of a record, and the least squares that fit values to them.

    A value is ``x(o) . b + x(o) . b_a`` with a mix's weights times components of the observation as ``x``, since rewards are
    sums of terms by those weights. The second part is what an action is worth beyond others; it is drawn to 0 where the
    action is hardly on record.

    Parameters
    ----------
    record
        What it is fitted to.
    n_choices
        Actions that there are.
    ridge
        See :data:`RIDGE`; the mean is free of it.
    """

    def __init__(self, record: Record, n_choices: int, ridge: float = RIDGE) -> None:
        context = context_of(record.observed, record.n_terms).astype(np.float64)
        components = _components(world_of(record.observed, record.n_terms).astype(np.float64))
        n_own = max(0, min(components.shape[1], MOST_OF_ACTIONS // (n_choices * record.n_terms) - 1))
        self._shared = _by_weight(context, components)
        self._own = _by_weight(context, components[:, :n_own]) if n_own else np.ones((len(components), 1))
        self._record, self._n = record, n_choices
        self.taken = self.of(np.eye(n_choices)[record.action], record.row)
        self._ridge = np.full(self.taken.shape[1], ridge)
        self._ridge[: record.n_terms] = 1e-6 * ridge
        self._factors: dict[bytes, tuple[FloatArray, bool]] = {}

    def of(self, probabilities: FloatArray, row: Array) -> FloatArray:
        """Expected features ``(n, n_coefficients)`` of observations ``row (n,)`` by probabilities ``(n, n_choices)``."""
        own = (probabilities[:, :, None] * self._own[row][:, None, :]).reshape(len(row), -1)
        features: FloatArray = np.concatenate([self._shared[row], own], axis=1)
        return features

    def fit(self, counts: FloatArray, values: FloatArray) -> FloatArray:
        """Least squares, as many as there are ``counts``.

        Parameters
        ----------
        counts
            How often each episode takes part, ``(n_fits, n_episodes)``.
        values
            Of the actions on record, ``(n_actions, n_fits)``.

        Returns
        -------
        Coefficients ``(n_coefficients, n_fits)``.
        """
        sums = self.taken.T @ (counts[:, self._record.episode].T * values)
        solved = [linalg.cho_solve(self._factor(one), of_one) for one, of_one in zip(counts, sums.T, strict=True)]
        return np.stack(solved, axis=1)

    def _factor(self, counts: FloatArray) -> tuple[FloatArray, bool]:
        """What least squares with these counts are solved by; policies share it."""
        key = counts.tobytes()
        if key not in self._factors:
            of_two = (self.taken * counts[self._record.episode][:, None]).T @ self.taken
            of_two[np.diag_indices_from(of_two)] += self._ridge
            self._factors[key] = linalg.cho_factor(of_two, overwrite_a=True)
        return self._factors[key]


def _components(world: FloatArray) -> FloatArray:
    """Principal components of observations in units of their spread, with spread 1 themselves, ``(n, n_components)``."""
    spread = world.std(0)
    varies = spread > 1e-6 * np.abs(world).max(0, initial=1.0)
    scaled = (world[:, varies] - world[:, varies].mean(0)) / spread[varies]
    variances, directions = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    kept = np.flatnonzero(variances > 1e-9)[::-1][:MOST_COMPONENTS]
    components: FloatArray = scaled @ directions[:, kept] / np.sqrt(variances[kept])
    return components.clip(-MOST_SPREADS, MOST_SPREADS)


def _by_weight(context: FloatArray, components: FloatArray) -> FloatArray:
    """The weights of the mix, then each times every component, ``(n, n_terms * (1 + n_components))``."""
    products = (context[:, None, :] * components[:, :, None]).reshape(len(context), -1)
    return np.concatenate([context, products], axis=1)
