"""What is measured of a stream: the only thing that observations, statistics, reward terms and pictures read."""

from __future__ import annotations

from typing import NamedTuple

from envs.core.arrays import FloatArray, IntArray
from envs.spark.kernel import State


class Measurements(NamedTuple):
    """Arrays ``(n_envs,)`` where nothing else is said, written anew every step: copy what is to be kept."""

    workload: FloatArray  # messages a second, of the step to come as all down to `burst`
    volume: FloatArray  # MB
    shuffle: FloatArray  # MB, extended: part of the volume that is shuffled
    temperature: FloatArray  # extended, in [0, 1]
    announced: FloatArray  # extended: the workload after that, messages a second
    burst: FloatArray  # extended: 1 when it is announced to be a burst
    chosen: IntArray  # (n_envs, 4) executors, GB each, tier, compression
    cpu: FloatArray  # percent, of the last step as all below
    memory: FloatArray  # percent
    latency_ms: FloatArray
    cost_usd_per_h: FloatArray
    throughput: FloatArray
    misplaced: FloatArray  # extended: 1 when hot data lay on a cold tier
    sums: FloatArray  # (n_envs, n_sums) since the reset, see `kernel.SUMS`


def simulated(state: State) -> Measurements:
    """The measurements of a simulated stream: the kernel's own arrays."""
    return Measurements(**{name: getattr(state, name) for name in Measurements._fields})
