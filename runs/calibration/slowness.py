"""Slow-downs: stretches in which a server takes clearly longer over its requests than it does otherwise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray
from runs.calibration.replay import Served, Span

IN_WINDOW = 80
"""Requests of a server in a window."""
SLOW, ERRORS = 1.3, 4.5
"""Windows in a row are slow where requests take so many times their time, one of them by so many standard errors."""
LEAST_EPISODES = 3
"""Slow-downs that there must be, for a rate to be told."""
LEAST = 0.02
"""Relative times below are taken for this: they are not told from the blur."""


class Slowness(NamedTuple):
    """Slow-downs of all servers.

    Attributes
    ----------
    slow
        Requests in them ``(n,)``.
    n_episodes
        How many there were, those at an end of the log included.
    factor, mean_s, rate_hz
        Speed as a share of the nominal one, mean seconds, and slow-downs a second per server; NaN without any.
    is_fitted
        Whether there were enough.
    """

    slow: BoolArray
    n_episodes: int
    factor: float
    mean_s: float
    rate_hz: float

    @property
    def is_fitted(self) -> bool:
        """Whether there were enough for a rate."""
        return self.n_episodes >= LEAST_EPISODES


def slowness(served: Served, relative: FloatArray, span: Span) -> Slowness:
    """Find slow-downs, by logarithms: a slow server takes longer over all requests, a long one is one request.

    Parameters
    ----------
    served
        Requests, their servers numbered from 0 without gaps.
    relative
        Time in service over what is expected of class and server ``(n,)``.
    """
    slow, surely = np.zeros((2, served.n), np.bool_)
    lengths_s = []
    log = np.log(np.maximum(relative, LEAST))
    n_servers = int(served.server.max()) + 1
    for server in range(n_servers):
        mine = np.flatnonzero(served.server == server)
        windows = np.array_split(mine, max(len(mine) // IN_WINDOW, 1))
        for first, last in _runs(_slow_windows([log[part] for part in windows])):
            slow[np.concatenate(windows[first : last + 1])] = True
            inside = windows[first + 1 : last] or windows[first : last + 1]  # it begins and ends within windows
            surely[np.concatenate(inside)] = True
            lengths_s.append(float(served.came_s[windows[last][-1]] - served.came_s[windows[first][0]]))
    if not lengths_s:
        return Slowness(slow, 0, np.nan, np.nan, np.nan)
    normal_s = max(n_servers * span.seconds - sum(lengths_s), 1e-9)
    n = len(lengths_s)
    return Slowness(slow, n, _factor(served, log, slow, surely), sum(lengths_s) / n, n / normal_s)


def _factor(served: Served, log: FloatArray, slow: BoolArray, surely: BoolArray) -> float:
    """Speed in slow-downs as a share of what the same servers have otherwise."""
    of_each = []
    for server in np.unique(served.server[surely]):
        mine = served.server == server
        if (mine & ~slow).any():
            of_each.append((log[mine & ~slow].mean() - log[mine & surely].mean(), (mine & surely).sum()))
    difference, weight = np.array(of_each, np.float64).reshape(-1, 2).T
    return float(np.exp(np.average(difference, weights=weight))) if len(weight) else np.nan


def _slow_windows(parts: list[FloatArray]) -> BoolArray:
    """Which windows of logarithms ``(n_windows,)``, against the median one."""
    means = np.array([part.mean() for part in parts])
    error = np.median([part.std() for part in parts]) / np.sqrt([len(part) for part in parts])
    above = means - np.median(means)
    is_slow, is_clear = above > np.log(SLOW), above > ERRORS * error
    clearly = np.zeros(len(parts), np.bool_)
    for first, last in _runs(is_slow):
        clearly[first : last + 1] = is_clear[first : last + 1].any()
    return clearly


def _runs(is_true: BoolArray) -> list[tuple[int, int]]:
    """First and last of every run."""
    change: IntArray = np.flatnonzero(np.diff(is_true.astype(np.int64), prepend=0, append=0))
    return [(int(first), int(end) - 1) for first, end in change.reshape(-1, 2)]
