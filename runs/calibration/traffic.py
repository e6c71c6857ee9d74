"""What came: rate and classes, and whether the rate was one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.haproxy.recording import Requests
from runs.calibration.fitting import N_BLOCKS, blocks_of, draws
from runs.calibration.replay import Span

PER_WINDOW = 20.0
"""Requests that are expected in a window."""
VARIES = 1.5
"""Variance over mean of the counts of windows, above which requests do not come at one rate; 1 is Poisson."""


class Traffic(NamedTuple):
    """What came. C is the number of classes, B of resampled logs.

    Attributes
    ----------
    rate_hz, shares
        Requests a second, and of each class ``(C,)``.
    rates_hz, all_shares
        The same of blocks drawn with replacement, ``(B,)`` and ``(B, C)``.
    dispersion
        Variance over mean of the counts of windows of equal length.
    """

    rate_hz: float
    shares: FloatArray
    rates_hz: FloatArray
    all_shares: FloatArray
    dispersion: float

    @property
    def is_even(self) -> bool:
        """Whether requests come as from a Poisson source of one rate."""
        return self.dispersion <= VARIES


def traffic(requests: Requests, n_classes: int, span: Span) -> Traffic:
    """Rate and shares of the requests of a span."""
    within = span.holds(requests.came_s)
    came_s, flow_class = requests.came_s[within], requests.flow_class[within]
    at = blocks_of(came_s, span) * n_classes + flow_class
    counts = np.bincount(at, minlength=N_BLOCKS * n_classes).reshape(N_BLOCKS, n_classes)
    drawn = draws() @ counts
    n = max(int(within.sum()), 1)
    in_windows = np.histogram(came_s, max(int(n / PER_WINDOW), 2), (span.from_s, span.to_s))[0]
    return Traffic(
        rate_hz=n / span.seconds,
        shares=counts.sum(0) / n,
        rates_hz=drawn.sum(1) / span.seconds,
        all_shares=drawn / np.maximum(drawn.sum(1, keepdims=True), 1),
        dispersion=float(in_windows.var(ddof=1) / max(in_windows.mean(), 1e-9)),
    )
