"""The default world as a story, worlds kept apart from it, and the scenarios in which balancing rules are met.

A hospital and a power company share four servers. The hospital's **monitors** send small requests (class `interactive`):
40 ms of work, wanted within 200 ms. An answer in time is worth 0.00001 $; a late one costs as much, since a nurse then looks
in person, and a lost one twice as much, since the nurse finds out too late. **Metering** jobs (class `batch`) have 200 ms of
work and a minute's time. One in time is worth 0.000008 $; a late one costs half of that, a lost one twice, since somebody
drives there. So no request is worth losing. A rejected one comes back half of the time, some seconds later.

A day lasts 200 seconds, for short. Monitors are busy by day and quiet by night (60 % above and below their mean), meters
the other way round. Around it load and mix of kinds come in shifts: low, middle or high load (0.15, 0.35, 0.55 of all
capacity), each with mostly monitors, both, or mostly meters. The nine regimes follow each other in this order, each for 100
seconds, give or take a quarter (16 exponential stages). So which comes next can be foreseen, and when it comes in part.

Of the servers one is fast, half of the capacity, rented at 3 $ an hour (0.38 $ per unit of capacity). One is half as fast
(0.15 $), and two are old and nearly paid for (0.06 and 0.04 $). A second of work brings 0.90 $ an hour for monitors and
0.14 $ for meters: monitors are worth the fast server whenever the others don't suffice, meters never are. But a server takes
15 seconds to start and is billed for a minute at least, idle at 0.4 of its price, so who switches must look ahead.

The figures stand as defaults in :mod:`envs.load_balancing.config`. :data:`HELD_OUT` holds worlds that nothing is trained or
tuned on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from envs.load_balancing.config import (
    MMPP,
    BalancersConfig,
    LoadBalancingConfig,
    Poisson,
    Regimes,
    ServerPool,
    Trace,
    Workload,
    WorkloadClass,
)
from envs.load_balancing.objectives import Slo

Variant = Callable[[LoadBalancingConfig], LoadBalancingConfig]


def other_pool(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Four servers with other capacities and prices, in the same order of cost per capacity."""
    pool = replace(
        config.pool,
        cores=[6, 3, 3, 4],
        speed=[1.5, 1.2, 0.8, 0.6],
        price_usd_per_h=[2.70, 0.54, 0.16, 0.10],
        memory_gb=[16.0, 8.0, 4.0, 8.0],
    )
    return replace(config, pool=pool)


def other_levels(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Loads and class mixes between those that were trained on."""
    regimes = replace(config.workload.regimes, loads=[0.25, 0.45, 0.5], interactive_shares=[0.8, 0.3, 0.15])
    return replace(config, workload=replace(config.workload, regimes=regimes))


def short_dwell(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Regimes that change four times as often: every 5 windows by default."""
    regimes = replace(config.workload.regimes, mean_dwell_s=config.workload.regimes.mean_dwell_s / 4.0)
    return replace(config, workload=replace(config.workload, regimes=regimes))


def surprises(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Regimes that end at any instant and lead anywhere: little of them can be foreseen."""
    regimes = replace(config.workload.regimes, order="random", n_stages=1)
    return replace(config, workload=replace(config.workload, regimes=regimes))


def twelve_servers(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """The default's capacity and prices in smaller pieces: of every kind of server two to four."""
    pool = replace(
        config.pool,
        cores=[1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1],
        speed=[2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5],
        price_usd_per_h=[0.75, 0.75, 1.5, 0.15, 0.15, 0.3, 0.06, 0.06, 0.02, 0.02, 0.02, 0.02],
        memory_gb=[8.0] * 12,
    )
    return replace(config, pool=pool)


def failures(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Servers that fail every ten minutes, and are slow every five."""
    pool = replace(config.pool, failure_rate_hz=1 / 600, slowdown_rate_hz=1 / 300)
    return replace(config, pool=pool)


def bursts(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Arrivals that come in bursts, without days."""
    return replace(config, workload=replace(config.workload, arrivals=MMPP()))


HELD_OUT: dict[str, Variant] = {
    "other_pool": other_pool,
    "other_levels": other_levels,
    "short_dwell": short_dwell,
}
"""Worlds that nothing is trained or tuned on, made from the one trained on; a trace is one more."""


def slo(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Run for cost subject to a latency bound."""
    return replace(config, objective=Slo(slo_ms=400.0))


def prices_doubled(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """Every server costs twice as much."""
    pool = replace(config.pool, price_usd_per_h=[2.0 * price for price in config.pool.price_usd_per_h])
    return replace(config, pool=pool)


def unchanged(config: LoadBalancingConfig) -> LoadBalancingConfig:
    """As it is."""
    return config


SUITE: dict[str, Variant] = {
    "default": unchanged,
    **HELD_OUT,
    "surprises": surprises,
    "twelve_servers": twelve_servers,
    "failures": failures,
    "bursts": bursts,
}
"""Worlds that everything is trained and tuned in, each by itself; a recording is one more."""

EQUAL_SERVERS = ServerPool(
    cores=[4, 4, 4, 4], speed=[1.0, 1.0, 1.0, 1.0], price_usd_per_h=[0.24, 0.24, 0.24, 0.24], memory_gb=[8.0, 8.0, 8.0, 8.0]
)
SIX_SERVERS = ServerPool(
    cores=[4, 4, 2, 2, 2, 1],
    speed=[2.0, 1.5, 1.5, 1.0, 0.5, 1.0],
    price_usd_per_h=[0.80, 0.60, 0.30, 0.20, 0.10, 0.10],
    memory_gb=[8.0] * 6,
    boot_s=0.0,
    min_billed_s=0.0,
)
UNEQUAL_SERVERS = ServerPool(price_usd_per_h=[0.80, 0.24, 0.12, 0.08])
REQUESTS = WorkloadClass(mean_work_s=0.1, deadline_s=0.5, value_usd=1e-5, penalty_usd=1e-5)


def _scenario(pool: ServerPool, load: float, workload: Workload | None = None) -> LoadBalancingConfig:
    """Requests of one kind: rules know no classes, so neither do scenarios."""
    arrivals = workload or Workload(arrivals=Poisson())
    regimes = Regimes(loads=[load], interactive_shares=[1.0])
    return LoadBalancingConfig(pool=pool, workload=replace(arrivals, regimes=regimes, interactive=REQUESTS, batch=REQUESTS))


SCENARIOS: dict[str, LoadBalancingConfig] = {
    "steady_equal": _scenario(EQUAL_SERVERS, 0.6),
    "steady_unequal": _scenario(UNEQUAL_SERVERS, 0.6),
    "drift": _scenario(replace(UNEQUAL_SERVERS, slowdown_rate_hz=1 / 60), 0.4),
    "failures": _scenario(replace(UNEQUAL_SERVERS, failure_rate_hz=1 / 120, repair_s=20.0), 0.5),
    "bursts": _scenario(UNEQUAL_SERVERS, 0.3, Workload(arrivals=MMPP())),
}
"""Where the lower agent, latency-first, is held against balancing rules; a trace is one more (:func:`on_trace`)."""


def shared(n_balancers: int, loads: Sequence[float]) -> LoadBalancingConfig:
    """Six unequal servers behind some balancers, each of which sees its own share of the requests alone."""
    config = _scenario(SIX_SERVERS, 0.0)
    workload = replace(config.workload, regimes=replace(config.workload.regimes, loads=list(loads)))
    return replace(config, workload=workload, backends="joint", balancers=BalancersConfig(n=n_balancers))


def on_trace(path: str) -> LoadBalancingConfig:
    """The scenario of a recording, replayed at 0.6 of the capacity of the unequal servers."""
    return _scenario(UNEQUAL_SERVERS, 0.6, Workload(arrivals=Trace(path=path)))
