"""Settings and state of the world as the kernel reads them: arrays and numbers, all envs in each."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from envs.core.arrays import FloatArray, FloatArray32, IntArray, StreamArray
from envs.load_balancing.kernel.accounts import Prices, Step
from envs.load_balancing.kernel.arrivals.source import Source
from envs.load_balancing.kernel.arrivals.traffic import Traffic
from envs.load_balancing.kernel.balancers import Balancers
from envs.load_balancing.kernel.deadlines import InFlight
from envs.load_balancing.kernel.dispatch.dispatcher import Dispatch
from envs.load_balancing.kernel.recent import Recent, Spans
from envs.load_balancing.kernel.reservoir import Reservoir
from envs.load_balancing.kernel.retries import Retries, RetryNumbers
from envs.load_balancing.kernel.servers.state import Servers


class Params(NamedTuple):
    """All settings, as arrays and numbers."""

    dt_s: float
    pool: Any  # the numbers of the pool's settings
    traffic: Traffic
    retries: RetryNumbers
    balancers: Balancers
    dispatch: Dispatch
    prices: Prices
    spans: Spans
    samples: bool  # whether times of requests are sampled


class State(NamedTuple):
    """Everything that moves, or is drawn for an episode. A batch of one env is an env."""

    clock_s: Annotated[FloatArray, "n_envs"]  # since the reset
    streams: StreamArray  # (n_envs, n_purposes, 4)
    deadline_s: Annotated[FloatArray, "n_envs n_lanes"]  # drawn for the episode
    source: Source
    retries: Retries
    servers: Servers
    in_flight: InFlight
    dispatcher: tuple[Any, ...]  # what each dispatch rule remembers
    reservoir: Reservoir
    counts: Annotated[IntArray, "n_envs n_lanes n_counts"]  # cumulative, but for in_flight, which is now
    times: Annotated[FloatArray, "n_envs n_lanes n_times"]  # cumulative
    n_starts: Annotated[IntArray, "n_envs"]  # starts of drained servers, cumulative
    histogram: Annotated[IntArray, "n_envs n_lanes n_bins"]  # latencies, cumulative
    answered: Annotated[IntArray, "n_envs n_views"]  # flows completed, cumulative
    sums: Annotated[FloatArray, "n_envs n_balancers n_sums"]  # over the steps since the reset
    step: Step
    recent: Recent
    since_switch_s: Annotated[FloatArray, "n_envs n_servers"]  # at the end of the step, as the two below
    still_billed_s: Annotated[FloatArray, "n_envs n_servers"]
    time_of_day: Annotated[FloatArray, "n_envs"]  # in [0, 1), 0 where there are no days
    features: Annotated[FloatArray32, "n_envs n_views n_features"]  # measured at the end of the step
