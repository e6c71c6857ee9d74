"""Random streams that live inside arrays, one for every env and purpose.

A stream is the four 64-bit words of a xoshiro256++ generator (Blackman and Vigna, "Scrambled linear pseudorandom number
generators", ACM TOMS 2021). Its key is hashed from master seed, role, env id and purpose, so no two streams are shared
between seeds, roles, envs or purposes, and what one purpose draws never shifts another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from envs.core.arrays import StreamArray
from envs.core.jit import inlined, kernel

Role = Literal["train", "select", "evaluate"]
Purpose = Literal[
    "arrivals", "regime", "failure", "dispatch", "reservoir", "context", "telemetry", "world", "retry", "balancer"
]

ROLES: tuple[Role, ...] = get_args(Role)
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
ARRIVALS, REGIME, FAILURE, DISPATCH, RESERVOIR, CONTEXT, TELEMETRY, WORLD, RETRY, BALANCER = range(len(PURPOSES))


def streams(seed: int, role: Role, env_ids: Sequence[int]) -> StreamArray:
    """Fresh streams ``(n_envs, n_purposes, 4)``; row ``i`` depends on ``env_ids[i]`` alone, not on the batch."""
    if seed < 0:
        raise ValueError(f"seed must be >= 0, got {seed}")
    if role not in ROLES:
        raise ValueError(f"role must be one of {', '.join(ROLES)}, got {role!r}")
    names, rows = np.unique(np.asarray(env_ids, np.int64), return_inverse=True)
    out = np.empty((len(names), len(PURPOSES), 4), np.uint64)
    for row, env_id in enumerate(names):
        for purpose in range(len(PURPOSES)):
            key = np.random.SeedSequence(entropy=seed, spawn_key=(ROLES.index(role), int(env_id), purpose))
            out[row, purpose] = key.generate_state(4, np.uint64)
    return out[rows]


@inlined
def _rotl(x, k):
    return (x << np.uint64(k)) | (x >> np.uint64(64 - k))


@inlined
def next_u64(stream):
    """The next 64 random bits of ``stream (4,)``, which moves on."""
    s0, s1, s2, s3 = stream[0], stream[1], stream[2], stream[3]
    result = _rotl(s0 + s3, 23) + s0
    t = s1 << np.uint64(17)
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = _rotl(s3, 45)
    stream[0], stream[1], stream[2], stream[3] = s0, s1, s2, s3
    return result


@inlined
def uniform(stream):
    """A float in [0, 1) with 53 random bits."""
    return (next_u64(stream) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inlined
def _mixed(x):
    """SplitMix64's finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@inlined
def keyed_uniform(key, number, draw):
    """A float in [0, 1) that depends on a key and two numbers alone: no stream moves on."""
    x = _mixed(key + np.uint64(0x9E3779B97F4A7C15) * np.uint64(number + 1))
    return (_mixed(x + np.uint64(0x9E3779B97F4A7C15) * np.uint64(draw + 1)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inlined
def integer(stream, n):
    """An integer in [0, n)."""
    return int(uniform(stream) * n)


@inlined
def exponential(stream, mean):
    """An exponential draw with the given mean."""
    return -mean * math.log(1.0 - uniform(stream))


@inlined
def normal(stream):
    """A standard normal draw (Box-Muller, one of the pair)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(stream)))
    return radius * math.cos(2.0 * math.pi * uniform(stream))


@kernel
def fill_uniform(stream_rows, out):
    """Fill ``out (n_envs, n)`` with uniforms, row ``i`` from ``stream_rows[i]``."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = uniform(stream_rows[row])


@kernel
def fill_normal(stream_rows, out):
    """Fill ``out (n_envs, n)`` with standard normals, row ``i`` from ``stream_rows[i]``."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = normal(stream_rows[row])
