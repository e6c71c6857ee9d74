"""A hidden Markov model with Gaussian measurements, fitted by expectation maximisation (Rabiner, "A tutorial on hidden
Markov models", Proc. IEEE 1989), with counts before there is a window, as in maximum a posteriori estimates.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.validation import SettingError

MAX_ROUNDS = 300
ENOUGH = 1e-6
"""Rounds end where what they climb grows by less in a window: its log likelihood, and its part of the log of the prior."""
N_STARTS = 10
"""Times that clusters are sought, from which regimes begin."""
FEWEST = 0.5
"""Moves out of a regime, to all alike, that count as seen before there is a window: no regime is ever ruled out."""
LEAST_SPREAD = 1e-3
"""The variance in a regime is at least this share of that of all windows."""
SMALLEST = 1e-9


class Chain(NamedTuple):
    """R regimes, of which F figures are measured in every window."""

    first: FloatArray  # (R,), probability in the first window
    moves: FloatArray  # (R, R), from a window to the next; rows sum to 1
    mean: FloatArray  # (R, F)
    var: FloatArray  # (R, F)

    def log_likelihood(self, measured: FloatArray) -> FloatArray:
        """Of ``measured (..., F)`` in every regime ``(..., R)``."""
        squares = (measured[..., None, :] - self.mean) ** 2 / self.var
        of_regimes: FloatArray = -0.5 * (squares + np.log(2.0 * math.pi * self.var)).sum(-1)
        return of_regimes


class Expected(NamedTuple):
    """What is expected of regimes, given all windows."""

    regimes: FloatArray  # (n, T, R), probability of each
    moves: FloatArray  # (R, R), how often
    log_likelihood: float  # of a window, the mean


def fitted(measured: FloatArray, n_regimes: int, seed: int) -> Chain:
    """The chain of ``n_regimes`` for sequences ``(n, T, F)``, its regimes in order of the first figure.

    Raises
    ------
    SettingError
        There are fewer windows that differ than regimes.
    """
    n_distinct = len(np.unique(measured.reshape(-1, measured.shape[-1]), axis=0))
    if n_distinct < n_regimes:
        raise SettingError("n_regimes", f"<= {n_distinct}, the windows that differ", n_regimes)
    least = LEAST_SPREAD * measured.var((0, 1)) + SMALLEST
    chain, before = _begun(measured, n_regimes, seed, least), -math.inf
    for _ in range(MAX_ROUNDS):
        expected = expectation(chain, measured)
        now = expected.log_likelihood + _log_prior(chain) / np.prod(measured.shape[:2])
        if now - before < ENOUGH:
            break
        chain, before = _maximised(measured, expected, least), now
    order = np.argsort(chain.mean[:, 0], kind="stable")
    return Chain(chain.first[order], chain.moves[np.ix_(order, order)], chain.mean[order], chain.var[order])


def _log_prior(chain: Chain) -> float:
    """Of moves that count as seen, up to a constant."""
    return FEWEST / len(chain.first) * float(np.log(chain.first).sum() + np.log(chain.moves).sum())


def _begun(measured: FloatArray, n_regimes: int, seed: int, least: FloatArray) -> Chain:
    """The chain whose regimes are clusters of windows (k-means, by scikit-learn)."""
    from sklearn.cluster import KMeans

    rows = measured.reshape(-1, measured.shape[-1])
    scale = np.sqrt(rows.var(0) + SMALLEST)
    labels = KMeans(n_regimes, n_init=N_STARTS, random_state=seed).fit_predict(rows / scale)
    regimes = np.eye(n_regimes)[labels].reshape(*measured.shape[:2], n_regimes)
    moves = np.einsum("nti,ntj->ij", regimes[:, :-1], regimes[:, 1:])
    return _maximised(measured, Expected(regimes, moves, -math.inf), least)


def expectation(chain: Chain, measured: FloatArray) -> Expected:
    """Forwards and backwards through sequences ``(n, T, F)``, all of them side by side."""
    log = chain.log_likelihood(measured)
    highest = log.max(-1, keepdims=True)
    likelihood = np.exp(log - highest)
    forward, scale = np.empty_like(log), np.empty(log.shape[:2])
    backward = np.ones_like(log)
    before = np.broadcast_to(chain.first, log[:, 0].shape)
    for t in range(log.shape[1]):
        forward[:, t] = before * likelihood[:, t]
        scale[:, t] = forward[:, t].sum(-1)
        forward[:, t] /= scale[:, t, None]
        before = forward[:, t] @ chain.moves
    for t in range(log.shape[1] - 2, -1, -1):
        backward[:, t] = (likelihood[:, t + 1] * backward[:, t + 1]) @ chain.moves.T / scale[:, t + 1, None]
    arriving = likelihood[:, 1:] * backward[:, 1:] / scale[:, 1:, None]
    moves = chain.moves * np.einsum("nti,ntj->ij", forward[:, :-1], arriving)
    return Expected(forward * backward, moves, float((np.log(scale) + highest[..., 0]).mean()))


def _maximised(measured: FloatArray, expected: Expected, least: FloatArray) -> Chain:
    """The chain that makes what is expected likeliest."""
    regimes = expected.regimes
    weight = np.maximum(regimes.sum((0, 1)), SMALLEST)[:, None]
    mean = np.einsum("ntr,ntf->rf", regimes, measured) / weight
    square = np.einsum("ntr,ntf->rf", regimes, measured**2) / weight
    fewest = FEWEST / regimes.shape[-1]
    moves, first = expected.moves + fewest, regimes[:, 0].sum(0) + fewest
    var = np.maximum(square - mean**2, least)
    return Chain(first / first.sum(), moves / moves.sum(-1, keepdims=True), mean, var)
