"""What a log says of servers and requests, held against the cores that servers are said to have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import IntArray
from envs.core.validation import SettingError
from envs.haproxy.recording import Requests
from envs.load_balancing.config import CLASSES, LoadBalancingConfig
from envs.load_balancing.kernel.metering import ANSWERED
from runs.calibration.fitting import Fitted, blocks_of, fit, means, resample
from runs.calibration.replay import Served, Span, replay, span_of
from runs.calibration.slowness import Slowness, slowness
from runs.calibration.traffic import Traffic, traffic
from runs.calibration.workers import Workers, workers_of

LEAST_REQUESTS = 100
"""Answered requests whose service is known, without which nothing is fitted."""
HARDLY_USED = 50
"""Requests of a server, or of a class, below which its settings stay as they are."""


class Places(NamedTuple):
    """Classes and servers that were used enough, and where each stands among them; -1 for the others."""

    classes: IntArray  # (C,)
    servers: IntArray  # (S,)

    def within(self, served: Served) -> Served:
        """Requests of these, numbered without gaps."""
        flow_class, server = self.classes[served.flow_class], self.servers[served.server]
        numbered = served._replace(flow_class=flow_class, server=server)
        return numbered.of((flow_class >= 0) & (server >= 0))


class Found(NamedTuple):
    """What a log says.

    Attributes
    ----------
    fitted, traffic, slowness
        Of classes and servers that were used enough; of all requests; and of when servers were slow.
    workers
        Of each server ``(S,)``; None for one that was hardly used.
    places
        Which classes and servers these are.
    reference
        The server whose speed the others are told by.
    span
        Of the log, in which all is known.
    n
        Requests: in the log, answered, and fitted to.
    """

    fitted: Fitted
    traffic: Traffic
    slowness: Slowness
    workers: tuple[Workers | None, ...]
    places: Places
    reference: int
    span: Span
    n: dict[str, int]


def calibrate(
    requests: Requests,
    config: LoadBalancingConfig,
    names: Sequence[str],
    *,
    reference: int | None = None,
    any_cores: bool = False,
) -> Found:
    """Fit servers and requests to a log.

    Parameters
    ----------
    config
        Of which the cores of the servers count: they can't be seen in a log.
    names
        Of the servers, in the order of the pool.
    reference
        The server whose speed is right; None has the fastest.
    any_cores
        Fit, although the log contradicts the cores.

    Raises
    ------
    SettingError
        There is too little in the log, or it contradicts the cores.
    """
    span = span_of(requests)
    served = replay(requests, np.asarray(config.pool.cores), span)
    places = _used(served, config)
    mine = places.within(served)
    if mine.n < LEAST_REQUESTS:
        raise SettingError("log", f"one with at least {LEAST_REQUESTS} requests whose service is known", mine.n)
    if reference is not None and places.servers[reference] < 0:
        raise SettingError("reference", f"a server with at least {HARDLY_USED} requests in the log", names[reference])
    slow = _slowness(mine, span)
    usual = mine.of(~slow.slow)
    block = blocks_of(usual.came_s, span)
    fitted = fit(usual, block)
    workers = _workers(requests, config, span, fitted, places)
    _hold_cores(config, workers, names, any_cores)
    anchor = int(fitted.point.speed.argmax()) if reference is None else int(places.servers[reference])
    return Found(
        fitted=resample(fitted, usual, block).seen_from(anchor),
        traffic=traffic(requests, len(CLASSES), span),
        slowness=slow,
        workers=workers,
        places=places,
        reference=int(np.flatnonzero(places.servers == anchor)[0]),
        span=span,
        n={"in_log": requests.n, "answered": int((requests.outcome == ANSWERED).sum()), "fitted": usual.n},
    )


def _used(served: Served, config: LoadBalancingConfig) -> Places:
    numbered = []
    for of, n in ((served.flow_class, len(CLASSES)), (served.server, config.pool.n_servers)):
        used = np.bincount(of, minlength=n) >= HARDLY_USED
        numbered.append(np.where(used, np.cumsum(used) - 1, -1))
    return Places(*numbered)


def _slowness(served: Served, span: Span) -> Slowness:
    at, sizes = (served.flow_class, served.server), (int(served.flow_class.max()) + 1, int(served.server.max()) + 1)
    total_s, n = np.zeros(sizes), np.zeros(sizes)
    np.add.at(total_s, at, served.service_s(0.0))
    np.add.at(n, at, 1.0)
    mean_s, speed = means(total_s, n)
    expected_s = mean_s[served.flow_class] / speed[served.server]
    return slowness(served, served.service_s(0.0) / expected_s, span)


def _workers(
    requests: Requests, config: LoadBalancingConfig, span: Span, fitted: Fitted, places: Places
) -> tuple[Workers | None, ...]:
    """Of every server ``(S,)``; None for one that was hardly used."""
    mean_s = np.where(places.classes >= 0, fitted.point.mean_s[places.classes], fitted.point.mean_s.mean())
    point = fitted.point._replace(mean_s=mean_s)
    found: list[Workers | None] = []
    for server, place in enumerate(places.servers.tolist()):
        cores = int(config.pool.cores[server])
        speed = float(point.speed[place])
        found.append(None if place < 0 else workers_of(requests, server, cores, span, fitted.family, point, speed))
    return tuple(found)


def _hold_cores(
    config: LoadBalancingConfig, workers: Sequence[Workers | None], names: Sequence[str], any_cores: bool
) -> None:
    others = [f"{name} with {one.likeliest}" for name, one in zip(names, workers, strict=True) if one and one.is_clear]
    if others and not any_cores:
        allowed = f"as many as serve at once: the log fits {', '.join(others)} (fit all the same: --any-cores)"
        raise SettingError("env.pool.cores", allowed, config.pool.cores)
