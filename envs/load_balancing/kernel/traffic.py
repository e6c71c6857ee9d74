"""Arrival sources, workload classes and regimes: settings in, arrays for the kernel out.

All randomness of arrivals (times, classes, work) comes from the stream `arrivals`, all of regimes from `regime`, and
neither is touched by an action: two arms of an ablation with the same seed see the same requests.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined, kernel
from envs.core.rng import ARRIVALS, REGIME, exponential, integer, normal, uniform
from envs.load_balancing.config import ARRIVAL_SOURCES, WORK_DISTRIBUTIONS, LoadBalancingConfig, TraceSplit
from envs.load_balancing.traces import Trace, TraceError, read_trace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

POISSON, MMPP, DIURNAL, TRACE = range(len(ARRIVAL_SOURCES))
EXPONENTIAL, LOGNORMAL, PARETO = range(len(WORK_DISTRIBUTIONS))
REGIME_WINDOW_S = 20.0
"""Trace regimes are told from windows that hold as many requests as this many seconds at the scaled mean rate."""


class Traffic(NamedTuple):
    """Settings of arrivals as the kernel reads them. K is the number of requests of the trace."""

    source: int
    mean_dwell_s: float
    work: int
    work_shape: float  # sigma of lognormal, exponent of Pareto
    burst_rate_factor: float  # mmpp, of the regime's mean rate
    calm_rate_factor: float
    burst_s: float
    calm_s: float
    period_s: float
    amplitude: float
    trace_time_s: FloatArray  # (K,) scaled, from 0
    trace_work_s: FloatArray  # (K,)
    trace_class: IntArray  # (K,)
    trace_regime: IntArray  # (K,)
    trace_period_s: float


class Replay(NamedTuple):
    """The requests of one split of a trace, scaled; empty for other sources."""

    time_s: FloatArray  # (K,)
    work_s: FloatArray  # (K,)
    flow_class: IntArray  # (K,)
    regime: IntArray  # (K,)
    period_s: float


NO_REPLAY = Replay(np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64), 0.0)


def _split(trace: Trace, split: TraceSplit, train_share: float) -> Trace:
    """The part of a trace before or after the instant that ends its training share."""
    border = train_share * trace.time_s[-1]
    part = trace.time_s < border if split == "train" else trace.time_s >= border
    time_s = trace.time_s[part]
    if len(time_s) < 2 or time_s[-1] <= time_s[0]:
        raise TraceError(f"workload.train_share must leave two requests apart in time on either side, got {train_share}")
    return Trace(time_s=time_s - time_s[0], work=trace.work[part])


def _terciles(values: FloatArray) -> IntArray:
    edges = np.quantile(values, [1 / 3, 2 / 3])
    result: IntArray = np.searchsorted(edges, values, side="right").astype(np.int64)
    return result


def _trace_regimes(time_s: FloatArray, flow_class: IntArray, window_s: float) -> IntArray:
    """Tercile of load times tercile of batch share, per window of time; ``(K,)`` in 0..8."""
    window = (time_s / window_s).astype(np.int64)
    n_windows = int(window[-1]) + 1
    count = np.bincount(window, minlength=n_windows).astype(np.float64)
    batch = np.bincount(window, weights=flow_class, minlength=n_windows) / np.maximum(count, 1)
    regime: IntArray = (3 * _terciles(count) + _terciles(batch))[window]
    return regime


def _replay(config: LoadBalancingConfig, split: TraceSplit) -> Replay:
    """Scaled times, work, classes and regimes of the requests of a split, and the period of its loop.

    Scaling comes from the whole trace, so that both splits keep their own load. The class of a request is told by its
    quantile of work; work is scaled so that interactive requests have the mean work of their class.
    """
    workload = config.workload
    assert workload.path is not None
    whole = read_trace(workload.path)
    part = _split(whole, split, workload.train_share)
    border = np.quantile(whole.work, workload.interactive_quantile)
    work_scale_s = workload.interactive.mean_work_s / whole.work[whole.work <= border].mean()
    rate_hz = workload.rate_hz
    if rate_hz is None:
        rate_hz = float(workload.regimes.load.mean() * config.pool.capacity.sum() / work_scale_s)
    slow_down = whole.rate_hz / rate_hz
    time_s = part.time_s * slow_down
    flow_class = (part.work > border).astype(np.int64)
    regime = _trace_regimes(time_s, flow_class, REGIME_WINDOW_S)
    return Replay(time_s, part.work * work_scale_s, flow_class, regime, part.duration_s * slow_down)


def traffic(config: LoadBalancingConfig, split: TraceSplit) -> Traffic:
    """Arrays for the kernel; ``split`` is the part of a trace to replay.

    Raises
    ------
    TraceError
        The trace can't be read.
    ValueError
        A rate is set and no regime offers any load.
    """
    workload = config.workload
    if workload.rate_hz is not None and not any(workload.regimes.loads):
        raise ValueError(f"regimes.loads must hold a load > 0 when workload.rate_hz is set, got {workload.regimes.loads}")
    sigma = math.sqrt(math.log(1.0 + workload.work_cv**2))
    burst_share = workload.burst_s / (workload.burst_s + workload.calm_s)
    calm_factor = 1.0 / (1.0 - burst_share + burst_share * workload.burst_factor)
    replay = _replay(config, split) if workload.arrivals == "trace" else NO_REPLAY
    return Traffic(
        source=ARRIVAL_SOURCES.index(workload.arrivals),
        mean_dwell_s=workload.regimes.mean_dwell_s,
        work=WORK_DISTRIBUTIONS.index(workload.work),
        work_shape=sigma if workload.work == "lognormal" else workload.pareto_shape,
        burst_rate_factor=calm_factor * workload.burst_factor,
        calm_rate_factor=calm_factor,
        burst_s=workload.burst_s,
        calm_s=workload.calm_s,
        period_s=workload.period_s,
        amplitude=workload.amplitude,
        trace_time_s=replay.time_s,
        trace_work_s=replay.work_s,
        trace_class=replay.flow_class,
        trace_regime=replay.regime,
        trace_period_s=replay.period_s,
    )


class Source(NamedTuple):
    """Where each env stands in its arrivals. The next request is always drawn already.

    The first six hold for an episode: what is drawn for it (:mod:`envs.load_balancing.randomisation`), and the rates that
    follow. R is the number of regimes.
    """

    load: FloatArray  # (n_envs, R) offered, as a share of the capacity present
    interactive_share: FloatArray  # (n_envs, R)
    mean_work_s: FloatArray  # (n_envs, n_classes)
    regime_rate_hz: FloatArray  # (n_envs, R) mean rate in each regime
    mean_rate_hz: FloatArray  # (n_envs,) over the regimes
    trace_stretch: FloatArray  # (n_envs,) factor on the times of the trace
    time_s: FloatArray  # (n_envs,) of the next request, or of the next change of rate
    is_request: NDArray[np.bool_]  # (n_envs,) false when a change of rate comes first
    work_s: FloatArray  # (n_envs,)
    flow_class: IntArray  # (n_envs,)
    regime: IntArray  # (n_envs,) now
    regime_until_s: FloatArray  # (n_envs,)
    bursting: NDArray[np.bool_]  # (n_envs,)
    burst_until_s: FloatArray  # (n_envs,)
    trace_index: IntArray  # (n_envs,) of the next request
    trace_shift_s: FloatArray  # (n_envs,) clock minus stretched trace time


def new_source(n_envs: int, n_regimes: int, n_classes: int) -> Source:
    """Empty arrays, filled when an episode begins."""
    return Source(
        load=np.zeros((n_envs, n_regimes)),
        interactive_share=np.zeros((n_envs, n_regimes)),
        mean_work_s=np.zeros((n_envs, n_classes)),
        regime_rate_hz=np.zeros((n_envs, n_regimes)),
        mean_rate_hz=np.zeros(n_envs),
        trace_stretch=np.zeros(n_envs),
        time_s=np.zeros(n_envs),
        is_request=np.zeros(n_envs, np.bool_),
        work_s=np.zeros(n_envs),
        flow_class=np.zeros(n_envs, np.int64),
        regime=np.zeros(n_envs, np.int64),
        regime_until_s=np.zeros(n_envs),
        bursting=np.zeros(n_envs, np.bool_),
        burst_until_s=np.zeros(n_envs),
        trace_index=np.zeros(n_envs, np.int64),
        trace_shift_s=np.zeros(n_envs),
    )


def set_rates(config: LoadBalancingConfig, source: Source, capacity: FloatArray, mask: BoolArray) -> None:
    """Rates where ``mask (n_envs,)`` is set: load times ``capacity (n_envs, n_servers)`` over the mean work of the mix.

    With `rate_hz` the rates of an env are scaled together, so that their mean over the regimes is that rate.
    """
    load, share, work_s = source.load[mask], source.interactive_share[mask], source.mean_work_s[mask]
    whole = capacity[mask].sum(-1, keepdims=True)
    rates = load * whole / (share * work_s[:, :1] + (1.0 - share) * work_s[:, 1:])
    workload = config.workload
    if workload.rate_hz is not None:
        rates = rates * workload.rate_hz / rates.mean(-1, keepdims=True)
    source.regime_rate_hz[mask] = rates
    source.mean_rate_hz[mask] = rates.mean(-1)
    source.trace_stretch[mask] = 1.0
    if workload.arrivals == "trace" and workload.rate_hz is None:  # the replay is scaled for the pool as configured
        configured = workload.regimes.load.mean() * config.pool.capacity.sum()
        source.trace_stretch[mask] = configured / (load.mean(-1) * whole[:, 0])


@kernel
def _sample_work_s(traffic, stream, mean_s):  # type: ignore[no-untyped-def]
    if traffic.work == EXPONENTIAL:
        return exponential(stream, mean_s)
    if traffic.work == LOGNORMAL:
        sigma = traffic.work_shape
        return mean_s * math.exp(sigma * normal(stream) - 0.5 * sigma * sigma)
    shape = traffic.work_shape
    return mean_s * (shape - 1.0) / shape * (1.0 - uniform(stream)) ** (-1.0 / shape)


@inlined
def _diurnal_factor(traffic, t):  # type: ignore[no-untyped-def]
    return 1.0 + traffic.amplitude * math.sin(2.0 * math.pi * t / traffic.period_s)


@kernel
def _draw_from_trace(traffic, source, env):  # type: ignore[no-untyped-def]
    i = source.trace_index[env]
    source.time_s[env] = traffic.trace_time_s[i] * source.trace_stretch[env] + source.trace_shift_s[env]
    source.work_s[env] = traffic.trace_work_s[i]
    source.flow_class[env] = traffic.trace_class[i]
    source.regime[env] = traffic.trace_regime[i]
    source.is_request[env] = True
    source.trace_index[env] = i + 1
    if i + 1 == traffic.trace_time_s.shape[0]:
        source.trace_index[env] = 0
        source.trace_shift_s[env] += traffic.trace_period_s * source.trace_stretch[env]


@inlined
def draw_next(traffic, source, streams, env, now_s):  # type: ignore[no-untyped-def]
    """Draw the next request after ``now_s``, or stop at the next change of rate, whichever comes first.

    Within a stretch of constant rate gaps are exponential; at its end they are drawn anew, which a Poisson process
    allows. The diurnal swing is thinned from its peak.
    """
    if traffic.source == TRACE:
        _draw_from_trace(traffic, source, env)
        return
    stream = streams[env, ARRIVALS]
    rate_hz = source.regime_rate_hz[env, source.regime[env]]
    until_s = source.regime_until_s[env]
    peak = 1.0
    if traffic.source == MMPP:
        rate_hz *= traffic.burst_rate_factor if source.bursting[env] else traffic.calm_rate_factor
        until_s = min(until_s, source.burst_until_s[env])
    elif traffic.source == DIURNAL:
        peak = 1.0 + traffic.amplitude
    t = now_s
    while True:
        t = t + exponential(stream, 1.0 / (rate_hz * peak)) if rate_hz > 0.0 else np.inf
        if t >= until_s:
            source.time_s[env] = until_s
            source.is_request[env] = False
            return
        if traffic.source != DIURNAL or uniform(stream) * peak < _diurnal_factor(traffic, t):
            break
    interactive = uniform(stream) < source.interactive_share[env, source.regime[env]]
    source.flow_class[env] = 0 if interactive else 1
    source.work_s[env] = _sample_work_s(traffic, stream, source.mean_work_s[env, source.flow_class[env]])
    source.time_s[env] = t
    source.is_request[env] = True


@kernel
def change_rate(traffic, source, streams, env):  # type: ignore[no-untyped-def]
    """Enter the next regime or burst state; the source stands at that instant."""
    now_s = source.time_s[env]
    if now_s >= source.regime_until_s[env]:
        n = source.regime_rate_hz.shape[1]
        if n > 1:
            step = 1 + integer(streams[env, REGIME], n - 1)
            source.regime[env] = (source.regime[env] + step) % n
        source.regime_until_s[env] = now_s + exponential(streams[env, REGIME], traffic.mean_dwell_s)
    if traffic.source == MMPP and now_s >= source.burst_until_s[env]:
        source.bursting[env] = not source.bursting[env]
        mean_s = traffic.burst_s if source.bursting[env] else traffic.calm_s
        source.burst_until_s[env] = now_s + exponential(streams[env, REGIME], mean_s)


@kernel
def start_source(traffic, source, streams, env):  # type: ignore[no-untyped-def]
    """Begin an episode: a random regime, burst state and, on a trace, a random start within its split."""
    regime_stream = streams[env, REGIME]
    if traffic.source == TRACE:
        source.trace_index[env] = integer(streams[env, ARRIVALS], traffic.trace_time_s.shape[0])
        source.trace_shift_s[env] = -traffic.trace_time_s[source.trace_index[env]] * source.trace_stretch[env]
        draw_next(traffic, source, streams, env, 0.0)
        return
    source.regime[env] = integer(regime_stream, source.regime_rate_hz.shape[1])
    source.regime_until_s[env] = exponential(regime_stream, traffic.mean_dwell_s)
    burst_share = traffic.burst_s / (traffic.burst_s + traffic.calm_s)
    source.bursting[env] = uniform(regime_stream) < burst_share
    mean_s = traffic.burst_s if source.bursting[env] else traffic.calm_s
    source.burst_until_s[env] = exponential(regime_stream, mean_s)
    draw_next(traffic, source, streams, env, 0.0)
