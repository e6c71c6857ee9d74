"""Whether servers have as many workers as is said: the number under which the ends of requests are likeliest.

With too few a request ends before one of them could have begun it; with too many what it waited for counts as service.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.haproxy.recording import Requests
from runs.calibration.families import Family, log_density
from runs.calibration.fitting import Point
from runs.calibration.replay import RESOLUTION_S, Served, Span, of_server

MOST_REQUESTS = 30_000
"""Of a server, that are looked at."""
MOST_WORKERS = 64
LEAST_WAITED = 30
"""Requests that have waited in a server, without which nothing is said of its workers."""
LEAST_GAIN, GAIN_OF_EACH, ERRORS = 10.0, 0.02, 3.0
"""Another number of workers fits better: by so much log-likelihood in all, for each request that waited with either, and by
so many standard errors of it."""
FAST_S = 3.0 * RESOLUTION_S
"""Mean time in service below which nothing is said of workers either."""
N_BLOCKS = 20
SPEEDS = np.geomspace(0.25, 4.0, 41)
"""Factors on the speed that are tried with another number of workers."""


class Workers(NamedTuple):
    """Of a server.

    Attributes
    ----------
    given, likeliest
        Their number.
    n_waited
        Requests that had to wait, with the number that is given.
    n_impossible
        Requests that ended before one of so many workers could have begun, by more than the blur.
    is_clear
        Whether the likeliest number fits better than the one that is given, beyond doubt.
    is_fast
        Whether requests take no longer than instants are rounded by: in what order they came is not known then.
    """

    given: int
    likeliest: int
    n_waited: int
    n_impossible: int
    is_clear: bool
    is_fast: bool

    @property
    def is_checked(self) -> bool:
        """Whether the log says anything about them."""
        return not self.is_fast and (self.n_waited >= LEAST_WAITED or self.is_clear)


def workers_of(
    requests: Requests, server: int, given: int, span: Span, family: Family, point: Point, speed: float
) -> Workers:
    """Hold what is given against a log.

    Parameters
    ----------
    point
        A fit in which ``mean_s`` has an entry for every class, seen or not.
    speed
        Of the server, relative, as fitted.
    """
    mine = np.flatnonzero(requests.server == server)[:MOST_REQUESTS]
    part = Requests._make(values[mine] for values in requests)
    numbers = {given, *range(1, min(_most_inside(part), MOST_WORKERS, 2 * given + 8) + 1)}
    served = {n: of_server(part, server, n, span) for n in numbers}
    n_waited = {n: int(one.waited.sum()) for n, one in served.items()}
    likelihood = {n: _likelihood(one, family, point, speed) for n, one in served.items()}
    ours = served[given]
    n_all = {n: float(blocks.sum()) for n, blocks in likelihood.items()}
    best = max(n_all, key=lambda n: (n_all[n], n == given))
    gain = likelihood[best] - likelihood[given]
    doubt = ERRORS * float(gain.std(ddof=1)) * N_BLOCKS**0.5
    least = max(LEAST_GAIN, GAIN_OF_EACH * max(n_waited[given], n_waited[best]), doubt)
    impossible = ours.service_s(point.overhead_s) < -2.0 * max(point.blur_s, point.jitter_s)
    is_fast = bool((point.mean_s[ours.flow_class] / speed).mean() < FAST_S) if ours.n else True
    is_clear = best != given and float(gain.sum()) > least and not is_fast
    return Workers(given, given if is_fast else best, n_waited[given], int(impossible.sum()), is_clear, is_fast)


def _likelihood(served: Served, family: Family, point: Point, speed: float) -> FloatArray:
    """Of the requests of each block of their number ``(n_blocks,)``, at the speed that suits them best."""
    if not served.n:
        return np.zeros(N_BLOCKS)
    seen_s, mean_s = served.service_s(point.overhead_s), point.mean_s[served.flow_class] / speed
    blur_s = point.blurs_s(~served.waited)

    def likelihoods(factor: float, step: int = 1) -> FloatArray:
        part = slice(None, None, step)
        return log_density(family, mean_s[part] / factor, point.number, blur_s[part], seen_s[part])

    step = max(served.n // 2_000, 1)
    best = max(SPEEDS.tolist(), key=lambda factor: float(likelihoods(factor, step).sum()))
    each = likelihoods(best)
    return np.array([part.sum() for part in np.array_split(each, N_BLOCKS)])


def _most_inside(requests: Requests) -> int:
    """Requests that a server had at once, at most."""
    when = np.concatenate([requests.came_s, requests.ended_s])
    change = np.concatenate([np.ones(requests.n), -np.ones(requests.n)])
    return int(np.cumsum(change[np.lexsort((change, when))]).max(initial=0))
