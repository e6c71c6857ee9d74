"""Settings and state of the world as the kernel reads them: arrays and numbers, all envs in each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.histogram import N_BINS
from envs.load_balancing.config import CLASSES, LoadBalancingConfig, TraceSplit
from envs.load_balancing.kernel.accounts import CLASS_COUNTS, CLASS_TIMES, STEP_SUMS, Prices, Step, new_step, prices
from envs.load_balancing.kernel.deadlines import InFlight, new_in_flight
from envs.load_balancing.kernel.dispatch import Dispatcher, Rule, new_dispatcher, rule
from envs.load_balancing.kernel.reservoir import FEATURES, Reservoir, new_reservoir
from envs.load_balancing.kernel.servers import Pool, Servers, new_servers, pool
from envs.load_balancing.kernel.traffic import Source, Traffic, new_source, traffic

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Params(NamedTuple):
    """All settings, as arrays and numbers."""

    dt_s: float
    pool: Pool
    traffic: Traffic
    rule: Rule
    prices: Prices


class State(NamedTuple):
    """Everything that moves, or is drawn for an episode. A batch of one env is an env."""

    clock_s: FloatArray  # (n_envs,) since the reset
    streams: NDArray[np.uint64]  # (n_envs, n_purposes, 4)
    deadline_s: FloatArray  # (n_envs, n_classes) drawn for the episode
    source: Source
    servers: Servers
    in_flight: InFlight
    dispatcher: Dispatcher
    reservoir: Reservoir
    counts: IntArray  # (n_envs, n_classes, len(CLASS_COUNTS)) cumulative, but for in_flight, which is now
    times: FloatArray  # (n_envs, n_classes, len(CLASS_TIMES)) cumulative, but for oldest_s, the oldest age now
    n_starts: IntArray  # (n_envs,) starts of drained servers, cumulative
    histogram: IntArray  # (n_envs, n_classes, N_BINS) latencies, cumulative
    answered: IntArray  # (n_envs, n_servers) flows completed, cumulative
    sums: FloatArray  # (n_envs, len(STEP_SUMS)) over the steps since the reset
    step: Step
    features: NDArray[np.float32]  # (n_envs, n_servers, 11) measured at the end of the step


def params(config: LoadBalancingConfig, split: TraceSplit) -> Params:
    """The kernel's view of a config; reads the trace, if there is one."""
    return Params(
        dt_s=config.dt_s,
        pool=pool(config.pool),
        traffic=traffic(config, split),
        rule=rule(config.dispatch),
        prices=prices(config),
    )


def new_state(config: LoadBalancingConfig, streams: NDArray[np.uint64]) -> State:
    """Arrays for as many envs as there are rows of streams; the reset of an episode fills them."""
    n_envs, n_servers, n_classes = len(streams), config.pool.n_servers, len(CLASSES)
    return State(
        clock_s=np.zeros(n_envs),
        streams=streams,
        deadline_s=np.zeros((n_envs, n_classes)),
        source=new_source(n_envs, config.workload.regimes.n_regimes, n_classes),
        servers=new_servers(n_envs, n_servers, config.pool.max_flows),
        in_flight=new_in_flight(n_envs, n_servers * config.pool.max_flows, n_classes),
        dispatcher=new_dispatcher(n_envs, n_servers, config.dispatch.probe_pool),
        reservoir=new_reservoir(n_envs, n_servers),
        counts=np.zeros((n_envs, n_classes, len(CLASS_COUNTS)), np.int64),
        times=np.zeros((n_envs, n_classes, len(CLASS_TIMES))),
        n_starts=np.zeros(n_envs, np.int64),
        histogram=np.zeros((n_envs, n_classes, N_BINS), np.int64),
        answered=np.zeros((n_envs, n_servers), np.int64),
        sums=np.zeros((n_envs, len(STEP_SUMS))),
        step=new_step(n_envs, n_servers, n_classes),
        features=np.zeros((n_envs, n_servers, len(FEATURES)), np.float32),
    )
