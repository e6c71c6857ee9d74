"""One step of all envs: what the executors cost and how fast they answer, then the load of the next step.

With `n` executors of `m` GB and `r = n m`, the base form has a cost of `0.1 n + 0.05 n m + tier price` $/h and a latency of
`max(10, 100 workload / r) * tier factor` ms; the extended form adds what moving and unpacking the shuffled volume takes.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from envs.core.arrays import FloatArray, IntArray, StreamArray, new_arrays
from envs.core.jit import inlined, kernel
from envs.core.rng import ARRIVALS, uniform
from envs.spark.config import MAX_EXECUTORS

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
    """Everything that moves. Volumes in MB, workloads in messages a second."""

    streams: StreamArray  # (n_envs, n_purposes, 4)
    workload: Annotated[FloatArray, "n_envs"]
    volume: Annotated[FloatArray, "n_envs"]
    shuffle: Annotated[FloatArray, "n_envs"]  # extended: part of the volume that is shuffled
    temperature: Annotated[FloatArray, "n_envs"]  # extended, in [0, 1]
    announced: Annotated[FloatArray, "n_envs"]  # extended: the next workload
    burst: Annotated[FloatArray, "n_envs"]  # extended: 1 when it is announced to be a burst
    chosen: Annotated[IntArray, "n_envs 4"]  # executors, GB each, tier, compression
    cpu: Annotated[FloatArray, "n_envs"]  # percent, of the last step as all below
    memory: Annotated[FloatArray, "n_envs"]  # percent
    latency_ms: Annotated[FloatArray, "n_envs"]
    cost_usd_per_h: Annotated[FloatArray, "n_envs"]
    throughput: Annotated[FloatArray, "n_envs"]
    misplaced: Annotated[FloatArray, "n_envs"]  # extended: 1 when hot data lay on a cold tier
    sums: Annotated[FloatArray, "n_envs n_sums"]  # since the reset


def new_state(streams: StreamArray) -> State:
    """Arrays for as many envs as there are rows of streams; :func:`reset` fills them."""
    return new_arrays(State, {"n_envs": len(streams), "n_sums": len(SUMS)}, streams=streams)


@inlined
def _between(stream, low, high):
    return low + (high - low) * uniform(stream)


@inlined
def _announce(state, env):
    """Draw what comes with the workload now in force, and the workload that follows it."""
    stream = state.streams[env, ARRIVALS]
    state.volume[env] = _between(stream, LOW, HIGH)
    state.shuffle[env] = state.volume[env] * _between(stream, 0.1, 0.5)
    state.temperature[env] = uniform(stream)
    state.burst[env] = 1.0 if uniform(stream) < BURST_PROBABILITY else 0.0
    factor = _between(stream, 2.0, 4.0) if state.burst[env] > 0.0 else _between(stream, 0.8, 1.2)
    state.announced[env] = min(max(state.workload[env] * factor, LOW), MAX_WORKLOAD)


@inlined
def _redraw(state, env):
    stream = state.streams[env, ARRIVALS]
    state.workload[env] = _between(stream, LOW, HIGH)
    state.volume[env] = _between(stream, LOW, HIGH)


@inlined
def _run_base(state, env, n, r, tier):
    state.cost_usd_per_h[env] = USD_PER_EXECUTOR * n + USD_PER_GB * r + BASE_TIER_PRICE[tier]
    state.latency_ms[env] = max(MIN_LATENCY_MS, 100.0 * state.workload[env] / r) * BASE_TIER_FACTOR[tier]
    state.throughput[env] = 100.0 * r / state.latency_ms[env]


@inlined
def _run_extended(state, env, n, r, tier, compression):
    stored = state.shuffle[env] * COMPRESSION_RATIO[compression]
    state.cost_usd_per_h[env] = USD_PER_EXECUTOR * n + USD_PER_GB * r + stored / 1024.0 * TIER_PRICE[tier]
    moving_ms = TIER_MS[tier] * stored / 100.0
    unpacking_ms = DECOMPRESSION_MS[compression] * state.shuffle[env] / 100.0
    state.latency_ms[env] = max(MIN_LATENCY_MS, 100.0 * state.workload[env] / r + moving_ms + unpacking_ms)
    state.throughput[env] = 1000.0 * r / state.latency_ms[env]
    state.misplaced[env] = 1.0 if state.temperature[env] > HOT_TEMPERATURE and tier >= FIRST_COLD_TIER else 0.0


@inlined
def _account(state, env):
    sums = state.sums[env]
    sums[STEPS] += 1.0
    sums[WORKLOAD] += state.workload[env]
    sums[WORKLOAD_SQUARED] += state.workload[env] * state.workload[env]
    sums[COST] += state.cost_usd_per_h[env]
    sums[LATENCY] += state.latency_ms[env]
    sums[THROUGHPUT] += state.throughput[env]
    sums[N_EXECUTORS] += state.chosen[env, EXECUTORS]


@kernel
def step(extended, state, running):
    """Run the envs in ``running (n_envs,)`` for one step with what was chosen."""
    for env in range(running.shape[0]):
        if not running[env]:
            continue
        n, tier = float(state.chosen[env, EXECUTORS]), state.chosen[env, TIER]
        r = n * state.chosen[env, MEMORY_GB]
        if extended:
            _run_extended(state, env, n, r, tier, state.chosen[env, COMPRESSION])
        else:
            _run_base(state, env, n, r, tier)
        state.cpu[env] = min(100.0, 100.0 * state.workload[env] / r)
        state.memory[env] = min(100.0, 100.0 * state.volume[env] / r)
        _account(state, env)
        if extended:
            state.workload[env] = state.announced[env]
            _announce(state, env)
        elif uniform(state.streams[env, ARRIVALS]) < REDRAW_PROBABILITY:
            _redraw(state, env)


@kernel
def reset(extended, state, mask):
    """Begin an episode in the envs in ``mask (n_envs,)``: a load is drawn, nothing has run yet."""
    for env in range(mask.shape[0]):
        if not mask[env]:
            continue
        state.chosen[env, EXECUTORS] = EXECUTORS_AT_RESET
        for figure in (state.cpu, state.memory, state.latency_ms, state.cost_usd_per_h, state.throughput, state.misplaced):
            figure[env] = 0.0
        state.sums[env] = 0.0
        if extended:
            state.workload[env] = _between(state.streams[env, ARRIVALS], LOW, FIRST_WORKLOAD_HIGH)
            _announce(state, env)
        else:
            _redraw(state, env)
