"""Log-bucket latency histograms: counts in, quantiles out, with a bounded relative error.

Bucket edges grow by 2 % from 0.1 ms to above 1,000 s, so a quantile read off a bucket is within 2 % of the exact one for
every latency in that range. Histograms of windows, envs and seeds add up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.jit import inlined

MIN_S = 1e-4
GROWTH = 1.02
LOG_GROWTH = math.log(GROWTH)
N_BINS = 816


@inlined
def bin_index(latency_s):  # type: ignore[no-untyped-def]
    """The bucket of a latency in seconds; values outside the range go to the first or last bucket."""
    if latency_s <= MIN_S:
        return 0
    return min(int(math.log(latency_s / MIN_S) / LOG_GROWTH), N_BINS - 1)


def quantile(counts: NDArray[Any], q: float) -> NDArray[np.float64]:
    """The ``q`` quantile in seconds of each histogram in ``counts (..., N_BINS)``; 0 where a histogram is empty.

    Inside a bucket the position is interpolated geometrically.
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"q must be in [0, 1], got {q}")
    cumulative = np.cumsum(counts, axis=-1, dtype=np.float64)
    total = cumulative[..., -1]
    target = np.maximum(q * total, 1e-9)  # above the empty buckets in front
    index = np.minimum((cumulative < target[..., None]).sum(-1), N_BINS - 1)
    here = np.take_along_axis(np.asarray(counts, np.float64), index[..., None], -1)[..., 0]
    below = np.take_along_axis(cumulative, index[..., None], -1)[..., 0] - here
    fraction = np.clip((target - below) / np.maximum(here, 1.0), 0.0, 1.0)
    value: NDArray[np.float64] = MIN_S * GROWTH ** (index + fraction)
    return np.where(total > 0, value, 0.0)
