"""The arrivals of every env: regimes that follow each other, and in them the requests of one of the sources."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, get_args

from envs.core.arrays import FloatArray, new_arrays
from envs.core.jit import inlined, kernel, one_of
from envs.core.rng import ARRIVALS, REGIME, exponential, integer, normal, uniform
from envs.load_balancing.kernel.arrivals import SOURCES
from envs.load_balancing.kernel.arrivals.source import ArrivalConfig, Demand, Source

WorkDistribution = Literal["exponential", "lognormal", "pareto"]
WORK_DISTRIBUTIONS: tuple[WorkDistribution, ...] = get_args(WorkDistribution)
EXPONENTIAL, LOGNORMAL, PARETO = range(len(WORK_DISTRIBUTIONS))


class Work(NamedTuple):
    """How the work of a request spreads around the mean of its class."""

    distribution: int
    shape: float  # sigma of lognormal, exponent of Pareto


class Dwell(NamedTuple):
    """How long a regime lasts, and which one follows."""

    stage_s: float  # mean length of a stage
    n_stages: int
    in_turn: bool  # whether regimes follow each other in order, or one of the others at random


class Traffic(NamedTuple):
    """Settings of arrivals as the kernel reads them."""

    source: int  # place in SOURCES
    sources: tuple[Any, ...]  # what the kernels of every source read
    dwell: Dwell
    work: Work


def traffic(config: ArrivalConfig, demand: Demand, dwell: Dwell, work: Work) -> Traffic:
    """The kernel's view of arrivals.

    Raises
    ------
    SettingError, TraceError
        A recording can't be read.
    """
    sources = tuple(
        source.params(config, demand) if name == config.source else source.unused_params for name, source in SOURCES.items()
    )
    return Traffic(list(SOURCES).index(config.source), sources, dwell, work)


def new_source(n_envs: int, n_regimes: int, n_classes: int) -> Source:
    """Empty arrays, filled when an episode begins."""
    sizes = {"n_envs": n_envs, "n_regimes": n_regimes, "n_classes": n_classes}
    memories: tuple[Any, ...] = tuple(
        () if source.memory is None else new_arrays(source.memory, sizes) for source in SOURCES.values()
    )
    return new_arrays(Source, sizes, memories=memories)


def recorded_position(params: Traffic, source: Source) -> FloatArray | None:
    """How far into its part of a recording each env is, ``(n_envs,)`` in [0, 1); None without a recording."""
    chosen = list(SOURCES.values())[params.source]
    return chosen.position(params.sources[params.source], source.memories[params.source])


_draw_next = one_of([source.draw_next for source in SOURCES.values()])
_start = one_of([source.start for source in SOURCES.values()])
_change = one_of([source.change for source in SOURCES.values()])
_time_of_day = one_of([source.time_of_day for source in SOURCES.values()])
_redraw = one_of([source.redraw for source in SOURCES.values()])


@kernel
def _sample_work_s(work, stream, mean_s):
    if work.distribution == EXPONENTIAL:
        return exponential(stream, mean_s)
    if work.distribution == LOGNORMAL:
        sigma = work.shape
        return mean_s * math.exp(sigma * normal(stream) - 0.5 * sigma * sigma)
    shape = work.shape
    return mean_s * (shape - 1.0) / shape * (1.0 - uniform(stream)) ** (-1.0 / shape)


@inlined
def _share_of_next(source, env):
    """Probability that the next request is interactive."""
    share, odds = source.interactive_share[env, source.regime[env]], source.odds[env]
    return share if odds == 1.0 else share * odds / (share * odds + 1.0 - share)


@inlined
def draw_next(params, source, streams, env, now_s):
    """Draw the next request after ``now_s``, or stop at the next change of rate, whichever comes first."""
    stream = streams[env, ARRIVALS]
    if _draw_next(params.source, params.sources, source.memories, source, stream, env, now_s):
        source.flow_class[env] = 0 if uniform(stream) < _share_of_next(source, env) else 1
        source.work_s[env] = _sample_work_s(params.work, stream, source.mean_work_s[env, source.flow_class[env]])


@inlined
def _next_regime(dwell, stream, regime, n):
    """The regime that follows one of ``n``."""
    if n == 1:
        return 0
    return (regime + (1 if dwell.in_turn else 1 + integer(stream, n - 1))) % n


@inlined
def _begin_stage(dwell, source, stream, env, now_s):
    source.stage_until_s[env] = now_s + exponential(stream, dwell.stage_s)


@kernel
def change_rate(params, source, streams, env):
    """Enter the next stage of a regime or the next regime, or what the source says; it stands at that instant."""
    stream, now_s, dwell = streams[env, REGIME], source.time_s[env], params.dwell
    if now_s >= source.stage_until_s[env]:
        source.stage[env] += 1
        if source.stage[env] >= dwell.n_stages:
            source.stage[env] = 0
            source.regime[env] = _next_regime(dwell, stream, source.regime[env], source.regime_rate_hz.shape[1])
        _begin_stage(dwell, source, stream, env, now_s)
    _change(params.source, params.sources, source.memories, source, stream, env)


@kernel
def start_source(params, source, streams, env):
    """Begin an episode: somewhere in a random regime, and what the source draws for itself."""
    stream, dwell = streams[env, REGIME], params.dwell
    source.regime[env] = integer(stream, source.regime_rate_hz.shape[1])
    source.stage[env] = integer(stream, dwell.n_stages) if dwell.n_stages > 1 else 0
    _begin_stage(dwell, source, stream, env, 0.0)
    first, second = uniform(stream), uniform(stream)
    _start(params.source, params.sources, source.memories, source, streams[env, ARRIVALS], env, first, second)
    draw_next(params, source, streams, env, 0.0)


@kernel
def redraw_arrivals(params, source, streams, env, now_s):
    """Draw anew what comes after ``now_s``: the end of the regime's stage, and the next request or change of rate."""
    stream = streams[env, REGIME]
    _begin_stage(params.dwell, source, stream, env, now_s)
    _redraw(params.source, params.sources, source.memories, source, stream, env, now_s)
    draw_next(params, source, streams, env, now_s)


@inlined
def time_of_day(params, source, env, now_s):
    """In [0, 1); 0 where there are no days."""
    return _time_of_day(params.source, params.sources, source.memories, source, env, now_s)
