"""What a balancer can measure of a server: a reservoir of 128 recent samples, kept sorted as samples come.

Two quantities are sampled at every answer: completion time (from arrival) and duration (from service start). Of each a
reservoir gives mean, 90th percentile, standard deviation, decayed mean and decayed 90th percentile, after MARLLB (Yao,
Ding and Clausen, "Multi-agent reinforcement learning for network load balancing in data center", CIKM 2022): a sample of
age ``a`` seconds decays to ``value * 0.9 ** a``. While slots are free a sample takes the next; after that it replaces one
drawn at random, so ages are exponentially distributed and old load is forgotten. Only filled slots count; an empty
reservoir reads zero.

Sorted arrays make a quantile a look-up. A sample costs two binary searches and a short shift in each array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.jit import inlined, kernel
from envs.rng import RESERVOIR, integer

N_SLOTS = 128
DECAY_PER_S = 0.9
QUANTITIES: tuple[str, ...] = ("fct", "flow_duration")
STATISTICS: tuple[str, ...] = ("mean", "p90", "std", "avg_decay", "p90_decay")
FEATURES: tuple[str, ...] = (
    "n_flow_on",
    *(f"{quantity}_{statistic}" for quantity in QUANTITIES for statistic in STATISTICS),
)
"""The 11 measured features of a server, in the order of the observation; times in seconds."""

_TINY = np.float32(1e-30)


class Reservoir(NamedTuple):
    """Samples per env, server and quantity; the decayed values are as of `at_s`."""

    n: NDArray[np.int64]  # (n_envs, n_servers) slots filled
    at_s: NDArray[np.float64]  # (n_envs, n_servers) instant that the decayed values are valid at
    sampled: NDArray[np.bool_]  # (n_envs, n_servers) a sample came since the statistics were computed
    value: NDArray[np.float32]  # (n_envs, n_servers, 2, 128) by slot
    decayed: NDArray[np.float32]  # (n_envs, n_servers, 2, 128) by slot
    value_sorted: NDArray[np.float32]  # (n_envs, n_servers, 2, 128)
    decayed_sorted: NDArray[np.float32]  # (n_envs, n_servers, 2, 128)
    statistics: NDArray[np.float32]  # (n_envs, n_servers, 2, 5) the decayed ones as of `at_s`


def new_reservoir(n_envs: int, n_servers: int) -> Reservoir:
    """Empty reservoirs."""
    slots = (n_envs, n_servers, len(QUANTITIES), N_SLOTS)
    return Reservoir(
        n=np.zeros((n_envs, n_servers), np.int64),
        at_s=np.zeros((n_envs, n_servers)),
        sampled=np.zeros((n_envs, n_servers), np.bool_),
        value=np.zeros(slots, np.float32),
        decayed=np.zeros(slots, np.float32),
        value_sorted=np.zeros(slots, np.float32),
        decayed_sorted=np.zeros(slots, np.float32),
        statistics=np.zeros((n_envs, n_servers, len(QUANTITIES), len(STATISTICS)), np.float32),
    )


@kernel
def clear_reservoir(reservoir, env):  # type: ignore[no-untyped-def]
    """Forget all samples of an env."""
    reservoir.n[env] = 0
    reservoir.at_s[env] = 0.0
    reservoir.sampled[env] = False
    reservoir.statistics[env] = 0.0


@inlined
def _position(row, n, x):  # type: ignore[no-untyped-def]
    """The first index of ``row[:n]``, ascending, whose entry is >= x."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if row[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def _insert(row, n, x):  # type: ignore[no-untyped-def]
    at = _position(row, n, x)
    for i in range(n, at, -1):
        row[i] = row[i - 1]
    row[at] = x


@inlined
def _replace(row, old, new):  # type: ignore[no-untyped-def]
    """Take ``old`` out of a full ascending row and put ``new`` in."""
    n = row.shape[0]
    source = _position(row, n, old)
    target = _position(row, n, new)
    if target > source:
        target -= 1
        for i in range(source, target):
            row[i] = row[i + 1]
    else:
        for i in range(source, target, -1):
            row[i] = row[i - 1]
    row[target] = new


@inlined
def _decay_to(reservoir, env, server, t):  # type: ignore[no-untyped-def]
    """Bring the decayed samples of a server to ``t``; both orders scale alike and stay sorted."""
    age_s = t - reservoir.at_s[env, server]
    if age_s <= 0.0:
        return
    factor = np.float32(DECAY_PER_S**age_s)
    for quantity in range(2):
        by_slot, by_size = reservoir.decayed[env, server, quantity], reservoir.decayed_sorted[env, server, quantity]
        for i in range(reservoir.n[env, server]):
            by_slot[i] = by_slot[i] * factor if by_slot[i] > _TINY else np.float32(0.0)
            by_size[i] = by_size[i] * factor if by_size[i] > _TINY else np.float32(0.0)
    reservoir.at_s[env, server] = t


@inlined
def sample(reservoir, streams, env, server, t, end_s, fct_s, duration_s):  # type: ignore[no-untyped-def]
    """Take in one answer at ``t``; decayed values are kept as of ``end_s``, the end of the step."""
    _decay_to(reservoir, env, server, end_s)
    reservoir.sampled[env, server] = True
    aged = DECAY_PER_S ** (end_s - t)
    n = reservoir.n[env, server]
    slot = n if n < N_SLOTS else integer(streams[env, RESERVOIR], N_SLOTS)
    for quantity in range(2):
        new = np.float32(fct_s if quantity == 0 else duration_s)
        new_decayed = np.float32(new * aged)
        if n < N_SLOTS:
            _insert(reservoir.value_sorted[env, server, quantity], n, new)
            _insert(reservoir.decayed_sorted[env, server, quantity], n, new_decayed)
        else:
            _replace(reservoir.value_sorted[env, server, quantity], reservoir.value[env, server, quantity, slot], new)
            old_decayed = reservoir.decayed[env, server, quantity, slot]
            _replace(reservoir.decayed_sorted[env, server, quantity], old_decayed, new_decayed)
        reservoir.value[env, server, quantity, slot] = new
        reservoir.decayed[env, server, quantity, slot] = new_decayed
    if n < N_SLOTS:
        reservoir.n[env, server] = n + 1


@inlined
def _p90(row, n):  # type: ignore[no-untyped-def]
    """Linear interpolation between order statistics, as numpy's default."""
    position = 0.9 * (n - 1)
    low = int(position)
    high = min(low + 1, n - 1)
    return row[low] + (row[high] - row[low]) * np.float32(position - low)


@inlined
def _mean_and_std(row, n):  # type: ignore[no-untyped-def]
    mean = np.float32(0.0)
    for i in range(n):
        mean += row[i]
    mean /= np.float32(n)
    square = np.float32(0.0)
    for i in range(n):
        square += (row[i] - mean) * (row[i] - mean)
    return mean, np.sqrt(square / np.float32(n))


@inlined
def measure(reservoir, env, server, t, out):  # type: ignore[no-untyped-def]
    """Write the ten statistics of a server at ``t`` to ``out (10,)``; those without a new sample only decay."""
    n = reservoir.n[env, server]
    if n == 0:
        out[:] = 0.0
        return
    if reservoir.sampled[env, server]:
        reservoir.sampled[env, server] = False
        for quantity in range(2):
            row = reservoir.value_sorted[env, server, quantity]
            decayed = reservoir.decayed_sorted[env, server, quantity]
            statistics = reservoir.statistics[env, server, quantity]
            statistics[0], statistics[2] = _mean_and_std(row, n)
            statistics[1] = _p90(row, n)
            statistics[3] = _mean_and_std(decayed, n)[0]
            statistics[4] = _p90(decayed, n)
    factor = np.float32(DECAY_PER_S ** (t - reservoir.at_s[env, server]))
    for quantity in range(2):
        statistics = reservoir.statistics[env, server, quantity]
        for i in range(3):
            out[5 * quantity + i] = statistics[i]
        out[5 * quantity + 3] = statistics[3] * factor
        out[5 * quantity + 4] = statistics[4] * factor
