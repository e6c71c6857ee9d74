"""One step of all envs: what the executors cost and how fast they answer, then the load of the next step.

With `n` executors of `m` GB and `r = n m`, the base form has a cost of `0.1 n + 0.05 n m + tier price` $/h and a latency of
`max(10, 100 workload / r) * tier factor` ms; the extended form adds what moving and unpacking the shuffled volume takes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined, kernel
from envs.core.rng import ARRIVALS, uniform
from envs.spark.config import MAX_EXECUTORS

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

EXECUTORS, MEMORY_GB, TIER, COMPRESSION = range(4)
SUMS: tuple[str, ...] = ("steps", "workload", "workload_squared", "cost_usd_per_h", "latency_ms", "throughput", "executors")
STEPS, WORKLOAD, WORKLOAD_SQUARED, COST, LATENCY, THROUGHPUT, N_EXECUTORS = range(len(SUMS))

USD_PER_EXECUTOR, USD_PER_GB = 0.1, 0.05
MIN_LATENCY_MS = 10.0
BASE_TIER_PRICE = np.array([0.10, 0.05, 0.01, 0.001])
BASE_TIER_FACTOR = np.array([1.0, 1.2, 1.5, 3.0])
TIER_PRICE = np.array([0.10, 0.05, 0.02, 0.005])
TIER_MS = np.array([5.0, 20.0, 100.0, 5000.0])
COMPRESSION_RATIO = np.array([1.0, 0.6, 0.3])
DECOMPRESSION_MS = np.array([0.0, 10.0, 50.0])
HOT_TEMPERATURE, FIRST_COLD_TIER = 0.7, 2

REDRAW_PROBABILITY, BURST_PROBABILITY = 0.1, 0.2
LOW, HIGH = 10.0, 500.0
FIRST_WORKLOAD_HIGH, MAX_WORKLOAD = 200.0, 900.0
EXECUTORS_AT_RESET = MAX_EXECUTORS // 2


class State(NamedTuple):
    """Everything that moves, ``(n_envs,)`` where nothing else is said. Volumes in MB, workloads in messages a second."""

    streams: NDArray[np.uint64]  # (n_envs, n_purposes, 4)
    workload: FloatArray
    volume: FloatArray
    shuffle: FloatArray  # extended: part of the volume that is shuffled
    temperature: FloatArray  # extended, in [0, 1]
    announced: FloatArray  # extended: the next workload
    burst: FloatArray  # extended: 1 when it is announced to be a burst
    chosen: IntArray  # (n_envs, 4) executors, GB each, tier, compression
    cpu: FloatArray  # percent, of the last step as all below
    memory: FloatArray  # percent
    latency_ms: FloatArray
    cost_usd_per_h: FloatArray
    throughput: FloatArray
    misplaced: FloatArray  # extended: 1 when hot data lay on a cold tier
    sums: FloatArray  # (n_envs, len(SUMS)) since the reset


def new_state(streams: NDArray[np.uint64]) -> State:
    """Arrays for as many envs as there are rows of streams; :func:`reset` fills them."""
    n_envs = len(streams)
    one = {name: np.zeros(n_envs) for name in State._fields if name not in ("streams", "chosen", "sums")}
    return State(streams=streams, chosen=np.zeros((n_envs, 4), np.int64), sums=np.zeros((n_envs, len(SUMS))), **one)


@inlined
def _between(stream, low, high):  # type: ignore[no-untyped-def]
    return low + (high - low) * uniform(stream)


@inlined
def _announce(st, env):  # type: ignore[no-untyped-def]
    """Draw what comes with the workload now in force, and the workload that follows it."""
    stream = st.streams[env, ARRIVALS]
    st.volume[env] = _between(stream, LOW, HIGH)
    st.shuffle[env] = st.volume[env] * _between(stream, 0.1, 0.5)
    st.temperature[env] = uniform(stream)
    st.burst[env] = 1.0 if uniform(stream) < BURST_PROBABILITY else 0.0
    factor = _between(stream, 2.0, 4.0) if st.burst[env] > 0.0 else _between(stream, 0.8, 1.2)
    st.announced[env] = min(max(st.workload[env] * factor, LOW), MAX_WORKLOAD)


@inlined
def _redraw(st, env):  # type: ignore[no-untyped-def]
    stream = st.streams[env, ARRIVALS]
    st.workload[env] = _between(stream, LOW, HIGH)
    st.volume[env] = _between(stream, LOW, HIGH)


@inlined
def _run_base(st, env, n, r, tier):  # type: ignore[no-untyped-def]
    st.cost_usd_per_h[env] = USD_PER_EXECUTOR * n + USD_PER_GB * r + BASE_TIER_PRICE[tier]
    st.latency_ms[env] = max(MIN_LATENCY_MS, 100.0 * st.workload[env] / r) * BASE_TIER_FACTOR[tier]
    st.throughput[env] = 100.0 * r / st.latency_ms[env]


@inlined
def _run_extended(st, env, n, r, tier, compression):  # type: ignore[no-untyped-def]
    stored = st.shuffle[env] * COMPRESSION_RATIO[compression]
    st.cost_usd_per_h[env] = USD_PER_EXECUTOR * n + USD_PER_GB * r + stored / 1024.0 * TIER_PRICE[tier]
    moving_ms = TIER_MS[tier] * stored / 100.0
    unpacking_ms = DECOMPRESSION_MS[compression] * st.shuffle[env] / 100.0
    st.latency_ms[env] = max(MIN_LATENCY_MS, 100.0 * st.workload[env] / r + moving_ms + unpacking_ms)
    st.throughput[env] = 1000.0 * r / st.latency_ms[env]
    st.misplaced[env] = 1.0 if st.temperature[env] > HOT_TEMPERATURE and tier >= FIRST_COLD_TIER else 0.0


@inlined
def _account(st, env):  # type: ignore[no-untyped-def]
    sums = st.sums[env]
    sums[STEPS] += 1.0
    sums[WORKLOAD] += st.workload[env]
    sums[WORKLOAD_SQUARED] += st.workload[env] * st.workload[env]
    sums[COST] += st.cost_usd_per_h[env]
    sums[LATENCY] += st.latency_ms[env]
    sums[THROUGHPUT] += st.throughput[env]
    sums[N_EXECUTORS] += st.chosen[env, EXECUTORS]


@kernel
def step(extended, st, running):  # type: ignore[no-untyped-def]
    """Run the envs in ``running (n_envs,)`` for one step with what was chosen."""
    for env in range(running.shape[0]):
        if not running[env]:
            continue
        n, tier = float(st.chosen[env, EXECUTORS]), st.chosen[env, TIER]
        r = n * st.chosen[env, MEMORY_GB]
        if extended:
            _run_extended(st, env, n, r, tier, st.chosen[env, COMPRESSION])
        else:
            _run_base(st, env, n, r, tier)
        st.cpu[env] = min(100.0, 100.0 * st.workload[env] / r)
        st.memory[env] = min(100.0, 100.0 * st.volume[env] / r)
        _account(st, env)
        if extended:
            st.workload[env] = st.announced[env]
            _announce(st, env)
        elif uniform(st.streams[env, ARRIVALS]) < REDRAW_PROBABILITY:
            _redraw(st, env)


@kernel
def reset(extended, st, mask):  # type: ignore[no-untyped-def]
    """Begin an episode in the envs in ``mask (n_envs,)``: a load is drawn, nothing has run yet."""
    for env in range(mask.shape[0]):
        if not mask[env]:
            continue
        st.chosen[env, EXECUTORS] = EXECUTORS_AT_RESET
        for figure in (st.cpu, st.memory, st.latency_ms, st.cost_usd_per_h, st.throughput, st.misplaced):
            figure[env] = 0.0
        st.sums[env] = 0.0
        if extended:
            st.workload[env] = _between(st.streams[env, ARRIVALS], LOW, FIRST_WORKLOAD_HIGH)
            _announce(st, env)
        else:
            _redraw(st, env)
