"""From settings to what the kernel works on: numbers of a config, arrays of a state."""

from __future__ import annotations

import math

from envs.core.arrays import BoolArray, FloatArray, StreamArray, new_arrays
from envs.core.histogram import N_BINS
from envs.core.numbers import numbers
from envs.load_balancing.config import CLASSES, LoadBalancingConfig, Regimes, Workload
from envs.load_balancing.kernel import recent, reservoir
from envs.load_balancing.kernel.accounts import CLASS_COUNTS, CLASS_TIMES, STEP_SUMS, prices
from envs.load_balancing.kernel.arrivals.source import Demand, Source
from envs.load_balancing.kernel.arrivals.traffic import WORK_DISTRIBUTIONS, Dwell, Traffic, Work, new_source, traffic
from envs.load_balancing.kernel.balancers import balancers
from envs.load_balancing.kernel.dispatch.dispatcher import dispatch, new_dispatcher
from envs.load_balancing.kernel.retries import MAX_WAITING, RetryNumbers
from envs.load_balancing.kernel.servers.state import n_nodes
from envs.load_balancing.kernel.state import Params, State


def params(config: LoadBalancingConfig, held_out: bool) -> Params:
    """The kernel's view of a config; reads the recording, if there is one, whose ``held_out`` part is replayed or not.

    Raises
    ------
    SettingError, TraceError
        The recording can't be read.
    """
    split = balancers(config.balancers.share, config.balancers.split == "class")
    return Params(
        dt_s=float(config.dt_s),
        pool=numbers(config.pool),
        traffic=traffic_of(config, held_out),
        retries=RetryNumbers(float(config.workload.retries), float(config.workload.retry_pause_s)),
        dispatch=dispatch(config.dispatch),
        balancers=split,
        prices=prices(config.dt_s, config.pool.idle_share, split.share),
        spans=recent.spans(config.dt_s),
        samples=config.telemetry.samples,
    )


def traffic_of(config: LoadBalancingConfig, held_out: bool) -> Traffic:
    """The kernel's view of what arrives, see :func:`params`."""
    workload = config.workload
    capacity = float(workload.regimes.load.mean() * config.pool.capacity.sum())
    demand = Demand(workload.rate_hz, capacity, workload.interactive.mean_work_s, held_out)
    return traffic(workload.arrivals, demand, _dwell(workload.regimes), _work(workload))


def _dwell(regimes: Regimes) -> Dwell:
    return Dwell(float(regimes.mean_dwell_s) / regimes.n_stages, int(regimes.n_stages), regimes.order == "turn")


def _work(workload: Workload) -> Work:
    sigma = math.sqrt(math.log(1.0 + workload.work_cv**2))
    shape = sigma if workload.work == "lognormal" else float(workload.pareto_shape)
    return Work(WORK_DISTRIBUTIONS.index(workload.work), shape)


def new_state(config: LoadBalancingConfig, streams: StreamArray) -> State:
    """Arrays for as many envs as there are rows of streams; the reset of an episode fills them."""
    n_envs, n_servers, n_balancers = len(streams), config.pool.n_servers, config.balancers.n
    sizes = {
        "n_envs": n_envs,
        "n_balancers": n_balancers,
        "n_backends": n_balancers * config.n_backends,
        "n_lanes": n_balancers * len(CLASSES),
        "n_views": n_balancers * n_servers,
        "n_servers": n_servers,
        "n_nodes": n_nodes(n_servers),
        "max_flows": config.pool.max_flows,
        "n_places": n_servers * config.pool.max_flows,
        "n_counts": len(CLASS_COUNTS),
        "n_times": len(CLASS_TIMES),
        "n_sums": len(STEP_SUMS),
        "n_bins": N_BINS,
        "n_waiting": MAX_WAITING if config.workload.retries > 0 else 1,
        "n_spans": len(recent.SPANS_S),
        "n_features": len(reservoir.FEATURES),
        **reservoir.SIZES,
    }
    source = new_source(n_envs, config.workload.regimes.n_regimes, len(CLASSES))
    dispatcher = new_dispatcher(config.dispatch, n_envs, sizes["n_backends"], n_servers)
    return new_arrays(State, sizes, streams=streams, source=source, dispatcher=dispatcher)


def set_rates(config: LoadBalancingConfig, source: Source, capacity: FloatArray, mask: BoolArray) -> None:
    """Rates of the regimes where ``mask (n_envs,)`` is set, for ``capacity (n_envs, n_servers)``."""
    workload, load, whole = config.workload, source.load[mask], capacity[mask].sum(-1)
    rates = workload.regime_rates_hz(load, source.interactive_share[mask], source.mean_work_s[mask], whole)
    source.regime_rate_hz[mask] = rates
    source.mean_rate_hz[mask] = rates.mean(-1)
    source.stretch[mask] = 1.0
    if workload.arrivals.recorded and workload.rate_hz is None:  # the replay is scaled for the pool as configured
        configured = workload.regimes.load.mean() * config.pool.capacity.sum()
        source.stretch[mask] = configured / (load.mean(-1) * whole)
