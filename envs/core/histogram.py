"""Log-bucket latency histograms: counts in, quantiles out, with a bounded relative error.

Bucket edges grow by 2 % from 0.1 ms to above 1,000 s, so a quantile read off a bucket is within 2 % of the exact one for
every latency in that range. Histograms of windows, envs and seeds add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from envs.core.arrays import Array, FloatArray
from envs.core.jit import inlined, kernel

MIN_S = 1e-4
GROWTH = 1.02
LOG_GROWTH = math.log(GROWTH)
N_BINS = 816
EDGES_S: FloatArray = MIN_S * np.power(GROWTH, np.arange(N_BINS + 1, dtype=np.float64))
"""Edges of the buckets ``(N_BINS + 1,)``."""


@inlined
def bin_index(latency_s):
    """The bucket of a latency in seconds; values outside the range go to the first or last bucket."""
    if latency_s <= MIN_S:
        return 0
    return min(int(math.log(latency_s / MIN_S) / LOG_GROWTH), N_BINS - 1)


@kernel
def _fill_quantiles(counts, shares, out):
    """Read the quantiles ``shares (n_q,)`` off every row of ``counts (n, N_BINS)`` into ``out (n, n_q)``."""
    for row in range(counts.shape[0]):
        total = 0.0
        for index in range(counts.shape[1]):
            total += counts[row, index]
        for column in range(shares.shape[0]):
            out[row, column] = _read(counts[row], shares[column] * total) if total > 0.0 else 0.0


@inlined
def _read(counts, target):
    """The latency that ``target`` flows stay below; empty buckets in front are passed over."""
    below, index = 0.0, 0
    while index < N_BINS - 1 and (counts[index] == 0 or below + counts[index] < target):
        below += counts[index]
        index += 1
    fraction = min(max((target - below) / max(counts[index], 1.0), 0.0), 1.0)
    return MIN_S * math.exp(LOG_GROWTH * (index + fraction))


def quantiles(counts: Array, shares: Sequence[float]) -> FloatArray:
    """Quantiles in seconds ``(..., n_q)`` of each histogram in ``counts (..., N_BINS)``; 0 where a histogram is empty.

    Inside a bucket the position is interpolated geometrically.

    Raises
    ------
    ValueError
        A share outside [0, 1].
    """
    for share in shares:
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"q must be in [0, 1], got {share}")
    rows = np.ascontiguousarray(counts, np.float64).reshape(-1, N_BINS)
    out = np.empty((len(rows), len(shares)))
    _fill_quantiles(rows, np.asarray(shares, np.float64), out)
    return out.reshape(*np.shape(counts)[:-1], len(shares))


def quantile(counts: Array, q: float) -> FloatArray:
    """One quantile ``(...)`` of each histogram, see :func:`quantiles`."""
    return quantiles(counts, [q])[..., 0]
