"""What a balancer can measure of a server: a reservoir of 128 recent samples.

Two quantities are sampled at every answer: completion time (from arrival) and duration (from service start). Of each a
reservoir gives mean, 90th percentile, standard deviation, decayed mean and decayed 90th percentile, after MARLLB (Yao,
Ding and Clausen, "Multi-agent reinforcement learning for network load balancing in data center", CIKM 2022): a sample of
age ``a`` seconds decays to ``value * 0.9 ** a``. While slots are free a sample takes the next; after that it replaces one
drawn at random, so ages are exponentially distributed and old load is forgotten. Only filled slots count; an empty
reservoir reads zero.

Nothing is decayed as time goes by: a sample is kept *grown*, by ``0.9 ** -(t - origin)``, and all are divided by the same
factor when read. For the quantile only the largest samples are kept in order, some more than it needs; they are picked anew
from the slots when too many of them have been replaced, about once in five hundred samples.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, FloatArray32, IntArray
from envs.core.jit import inlined, kernel, summing
from envs.core.rng import RESERVOIR, integer

N_SLOTS = 128
DECAY_PER_S = 0.9
QUANTITIES: tuple[str, ...] = ("fct", "flow_duration")
STATISTICS: tuple[str, ...] = ("mean", "p90", "std", "avg_decay", "p90_decay")
FEATURES: tuple[str, ...] = (
    "n_flow_on",
    *(f"{quantity}_{statistic}" for quantity in QUANTITIES for statistic in STATISTICS),
)
"""The 11 measured features of a server, in the order of the observation; times in seconds."""

QUANTILE = 0.9
N_LARGEST = 24
"""Samples kept in order; the quantile of a full reservoir needs the 14 largest."""
ORIGIN_AGE_S = 128.0
"""Samples grow by a factor of up to 7e5 before the origin is moved, which single precision holds with ease."""

_GROWTH_PER_S = -math.log(DECAY_PER_S)
_TINY = np.float32(1e-30)
PLAIN, GROWN = range(2)


class Reservoir(NamedTuple):
    """Samples per env, view and quantity (2), each once plain and once grown (2)."""

    n: Annotated[IntArray, "n_envs n_views"]  # slots filled
    sampled: Annotated[BoolArray, "n_envs n_views"]  # a sample came since the statistics were computed
    origin_s: Annotated[FloatArray, "n_envs"]  # a sample of this instant is not grown
    value: Annotated[FloatArray32, "n_envs n_views 2 2 n_slots"]  # by slot
    largest: Annotated[FloatArray32, "n_envs n_views 2 2 n_largest", -np.inf]  # descending; -inf after the last
    n_largest: Annotated[IntArray, "n_envs n_views 2 2"]
    statistics: Annotated[FloatArray32, "n_envs n_views 2 n_statistics"]  # the decayed ones as of the origin


SIZES = {"n_slots": N_SLOTS, "n_largest": N_LARGEST, "n_statistics": len(STATISTICS)}
"""Lengths of axes."""


@kernel
def clear_reservoir(reservoir, env):
    """Forget all samples of an env."""
    reservoir.n[env] = 0
    reservoir.sampled[env] = False
    reservoir.origin_s[env] = 0.0
    reservoir.largest[env] = -np.inf
    reservoir.n_largest[env] = 0
    reservoir.statistics[env] = 0.0


@inlined
def _shrunk(x, factor):
    """``x * factor``, or 0 before it becomes a subnormal number, which processors are slow at."""
    small = x * factor
    return small if small > _TINY else np.float32(0.0)


@kernel
def _move_origin(reservoir, env, t):
    factor = np.float32(math.exp(-_GROWTH_PER_S * (t - reservoir.origin_s[env])))
    reservoir.origin_s[env] = t
    for view in range(reservoir.n.shape[1]):
        for quantity in range(2):
            value, largest = reservoir.value[env, view, quantity, GROWN], reservoir.largest[env, view, quantity, GROWN]
            for i in range(reservoir.n[env, view]):
                value[i] = _shrunk(value[i], factor)
            for i in range(reservoir.n_largest[env, view, quantity, GROWN]):
                largest[i] = _shrunk(largest[i], factor)
            statistics = reservoir.statistics[env, view, quantity]
            for i in range(3, 5):
                statistics[i] = _shrunk(statistics[i], factor)


@inlined
def _insert(row, n, x):
    """Put ``x`` into a descending row with ``n`` entries; a full one loses its smallest. Returns how many there are then.

    Every entry is written, whatever its place: no branch has to be foretold, and several go at once.
    """
    for at in range(N_LARGEST - 1, 0, -1):
        here, above = row[at], row[at - 1]
        moved = above if above < x else x
        row[at] = moved if here < x else here
    row[0] = x if row[0] < x else row[0]
    return min(n + 1, N_LARGEST)


@inlined
def _remove(row, n, x):
    """Take ``x`` out of a descending row that holds it."""
    for at in range(N_LARGEST - 1):
        here, below = row[at], row[at + 1]
        row[at] = here if here > x else below
    row[N_LARGEST - 1] = -np.inf
    return n - 1


@kernel
def _pick_largest(value, n, largest):
    largest[:] = -np.inf
    n_largest = 0
    for i in range(n):
        if n_largest < N_LARGEST or value[i] > largest[N_LARGEST - 1]:
            n_largest = _insert(largest, n_largest, value[i])
    return n_largest


@inlined
def _rank(n):
    """The order statistic just below the quantile of ``n`` samples, as numpy's default has it."""
    return int(QUANTILE * (n - 1))


@inlined
def _put(value, largest, n_largest, n, slot, n_needed, x):
    """Write ``x`` to a slot, the next free one or one of ``n`` that are filled.

    Returns how many of the largest are in order, ``n_needed`` or more.
    """
    if slot < n:
        old = value[slot]
        if old >= largest[n_largest - 1]:
            n_largest = _remove(largest, n_largest, old)
        others = n - 1
    else:
        others = n
    value[slot] = x
    has_room = n_largest == others and n_largest < N_LARGEST  # a full row takes only what is above its smallest
    if has_room or x > largest[n_largest - 1]:
        n_largest = _insert(largest, n_largest, x)
    if n_largest < n_needed:
        n_largest = _pick_largest(value, others + 1, largest)
    return n_largest


@inlined
def sample(reservoir, streams, env, view, t, fct_s, duration_s):
    """Take in one answer at ``t``."""
    if t - reservoir.origin_s[env] > ORIGIN_AGE_S:
        _move_origin(reservoir, env, t)
    reservoir.sampled[env, view] = True
    growth = math.exp(_GROWTH_PER_S * (t - reservoir.origin_s[env]))
    n = reservoir.n[env, view]
    slot = n if n < N_SLOTS else integer(streams[env, RESERVOIR], N_SLOTS)
    n_now = max(n, slot + 1)
    n_needed = n_now - _rank(n_now)
    for quantity in range(2):
        plain = fct_s if quantity == 0 else duration_s
        for kind in range(2):
            reservoir.n_largest[env, view, quantity, kind] = _put(
                reservoir.value[env, view, quantity, kind],
                reservoir.largest[env, view, quantity, kind],
                reservoir.n_largest[env, view, quantity, kind],
                n,
                slot,
                n_needed,
                np.float32(plain * growth if kind == GROWN else plain),
            )
    if n < N_SLOTS:
        reservoir.n[env, view] = n + 1


@inlined
def _quantile(largest, n):
    """Linear interpolation between order statistics, as numpy's default."""
    low = _rank(n)
    below = largest[n - 1 - low]
    above = largest[max(n - 2 - low, 0)]
    return below + (above - below) * np.float32(QUANTILE * (n - 1) - low)


@summing
def _mean_and_std(row, n):
    mean = np.float32(0.0)
    for i in range(n):
        mean += row[i]
    mean /= np.float32(n)
    square = np.float32(0.0)
    for i in range(n):
        square += (row[i] - mean) * (row[i] - mean)
    return mean, np.sqrt(square / np.float32(n))


@inlined
def measure(reservoir, env, view, t, out):
    """Write the ten statistics of a view at ``t`` to ``out (10,)``; those without a new sample only decay."""
    n = reservoir.n[env, view]
    if n == 0:
        out[:] = 0.0
        return
    if reservoir.sampled[env, view]:
        reservoir.sampled[env, view] = False
        for quantity in range(2):
            value, largest = reservoir.value[env, view, quantity], reservoir.largest[env, view, quantity]
            statistics = reservoir.statistics[env, view, quantity]
            statistics[0], statistics[2] = _mean_and_std(value[PLAIN], n)
            statistics[1] = _quantile(largest[PLAIN], n)
            statistics[3] = _mean_and_std(value[GROWN], n)[0]
            statistics[4] = _quantile(largest[GROWN], n)
    factor = np.float32(math.exp(-_GROWTH_PER_S * (t - reservoir.origin_s[env])))
    for quantity in range(2):
        statistics = reservoir.statistics[env, view, quantity]
        for i in range(3):
            out[5 * quantity + i] = statistics[i]
        out[5 * quantity + 3] = statistics[3] * factor
        out[5 * quantity + 4] = statistics[4] * factor
