"""Domain randomisation: the world of an episode, drawn when it begins from the ranges in `randomise`.

Every figure has a range, and what is as configured has one of a single point: there is one way through, and each draw takes
its numbers from the stream whether it matters or not. So setting one range moves nothing that is drawn from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from envs.core.arrays import Array, BoolArray, FloatArray, IntArray
from envs.core.jit import inlined, kernel
from envs.core.rng import WORLD, integer, uniform
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.state import State
from envs.load_balancing.params import set_rates

AS_IT_IS = (1.0, 1.0)
"""The range of a factor that changes nothing."""


class Ranges(NamedTuple):
    """What a world is drawn from; the last axis of a range is ``(low, high)``, both included. R is the number of regimes."""

    n_servers: IntArray  # (2,) servers present
    cores: IntArray  # (n_servers, 2)
    speed: FloatArray  # (n_servers, 2)
    price_usd_per_h: FloatArray  # (n_servers,) whatever the capacity; 0 when the price goes by capacity
    price_per_capacity: FloatArray  # (2,) $ an hour for a second of work a second, on top of that
    load_factor: FloatArray  # (2,)
    load: FloatArray  # (R,) as configured
    share_shift: FloatArray  # (2,)
    interactive_share: FloatArray  # (R,) as configured
    mean_work_s: FloatArray  # (n_classes, 2)
    deadline_s: FloatArray  # (n_classes, 2)


def _each(values: ArrayLike, drawn: Sequence[float]) -> Array:
    """Ranges ``(n, 2)`` of ``values (n,)``: the same for all if drawn, else each value a point."""
    points = np.stack([values, values], axis=-1)
    return np.broadcast_to(np.asarray(drawn, points.dtype), points.shape).copy() if drawn else points


def ranges(config: LoadBalancingConfig) -> Ranges:
    """The kernel's view of what is drawn."""
    pool, workload, drawn = config.pool, config.workload, config.randomise
    price = np.asarray(pool.price_usd_per_h, np.float64)
    return Ranges(
        n_servers=np.array(drawn.n_servers or [pool.n_servers] * 2, np.int64),
        cores=_each(pool.cores, drawn.cores).astype(np.int64),
        speed=_each(pool.speed, drawn.speed).astype(np.float64),
        price_usd_per_h=np.zeros_like(price) if drawn.price_per_capacity else price,
        price_per_capacity=np.array(drawn.price_per_capacity or [0.0, 0.0]),
        load_factor=np.array(drawn.load or AS_IT_IS),
        load=workload.regimes.load,
        share_shift=np.array(drawn.interactive_share or [0.0, 0.0]),
        interactive_share=workload.regimes.interactive_share,
        mean_work_s=np.outer(workload.mean_work_s, drawn.work or AS_IT_IS),
        deadline_s=np.outer([c.deadline_s for c in workload.classes], drawn.deadline or AS_IT_IS),
    )


@inlined
def _whole(stream, span):
    return span[0] + integer(stream, span[1] - span[0] + 1)


@inlined
def _uniform(stream, span):
    return min(span[0] + (span[1] - span[0]) * uniform(stream), span[1])


@inlined
def _log_uniform(stream, span):
    """Uniform in the logarithm; a point comes out to the bit, 0 too."""
    ratio = span[1] / span[0] if span[0] > 0.0 else 1.0
    return min(span[0] * ratio ** uniform(stream), span[1])


@inlined
def _draw_servers(ranges, stream, servers, env):
    """A random subset (Knuth's selection sampling, TAOCP 3.4.2 S), and what each server is."""
    n_servers = servers.present.shape[1]
    n_left = _whole(stream, ranges.n_servers)
    for server in range(n_servers):
        present = uniform(stream) * (n_servers - server) < n_left
        n_left -= present
        cores, speed = _whole(stream, ranges.cores[server]), _log_uniform(stream, ranges.speed[server])
        capacity = cores * speed
        price_usd_per_h = ranges.price_usd_per_h[server] + _log_uniform(stream, ranges.price_per_capacity) * capacity
        servers.present[env, server] = present
        servers.cores[env, server] = cores if present else 0
        servers.speed[env, server] = speed if present else 0.0
        servers.capacity[env, server] = capacity if present else 0.0
        servers.price_usd_per_h[env, server] = price_usd_per_h if present else 0.0


@inlined
def _draw_workload(ranges, stream, source, deadline_s, env):
    load_factor, shift = _uniform(stream, ranges.load_factor), _uniform(stream, ranges.share_shift)
    for regime in range(ranges.load.shape[0]):
        source.load[env, regime] = load_factor * ranges.load[regime]
        source.interactive_share[env, regime] = min(max(ranges.interactive_share[regime] + shift, 0.0), 1.0)
    n_classes = ranges.deadline_s.shape[0]
    for flow_class in range(n_classes):
        source.mean_work_s[env, flow_class] = _log_uniform(stream, ranges.mean_work_s[flow_class])
        deadline_s[env, flow_class::n_classes] = _log_uniform(stream, ranges.deadline_s[flow_class])


@kernel
def _draw(ranges, streams, servers, source, deadline_s, mask):
    for env in range(mask.shape[0]):
        if mask[env]:
            _draw_servers(ranges, streams[env, WORLD], servers, env)
            _draw_workload(ranges, streams[env, WORLD], source, deadline_s, env)


def draw(config: LoadBalancingConfig, ranges: Ranges, state: State, mask: BoolArray) -> None:
    """Draw the world of the episodes that begin in ``mask (n_envs,)``, and the rates that give it its offered load."""
    _draw(ranges, state.streams, state.servers, state.source, state.deadline_s, mask)
    set_rates(config, state.source, state.servers.capacity, mask)
