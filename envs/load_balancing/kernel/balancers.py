"""Several balancers before the same servers: whose request it is, and what each of them counts by itself.

A lane is a class of requests as one balancer has it: lanes 0 to C - 1 are the classes of the first balancer, the next C
those of the second. What is counted of requests has an axis of lanes; with one balancer that is the axis of classes. A view
is a server as one balancer measures it: views 0 to S - 1 are the servers of the first balancer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.jit import inlined
from envs.core.rng import BALANCER, uniform


class Balancers(NamedTuple):
    """How requests are split among balancers, as the kernel reads it."""

    by_class: bool  # whether every class has a balancer of its own
    share: FloatArray  # (n_balancers,) of the requests, of the cost of servers
    until: FloatArray  # (n_balancers,) cumulative shares; the last is above any draw


def balancers(share: Sequence[float], by_class: bool) -> Balancers:
    """The kernel's view of a split."""
    until = np.cumsum(np.asarray(share, np.float64))
    until[-1] = np.inf
    return Balancers(by_class, np.asarray(share, np.float64), until)


@inlined
def draw_lane(params, streams, env, flow_class, n_classes):
    """The lane of a request of a class that comes for the first time: it never depends on what was done."""
    if params.until.shape[0] == 1:
        return flow_class
    if params.by_class:
        return flow_class * n_classes + flow_class
    draw, balancer = uniform(streams[env, BALANCER]), 0
    while draw >= params.until[balancer]:
        balancer += 1
    return balancer * n_classes + flow_class


@inlined
def balancer_of_lane(servers, lane):
    """The balancer that a lane belongs to."""
    n_balancers = servers.known_down.shape[1]
    return lane // (servers.n_flows.shape[1] // n_balancers) if n_balancers > 1 else 0


@inlined
def balancer_of_backend(servers, backend):
    """The balancer that a backend belongs to."""
    n_balancers = servers.known_down.shape[1]
    return backend // (servers.weight.shape[1] // n_balancers) if n_balancers > 1 else 0


@inlined
def backend_of_lane(servers, lane):
    """The backend that serves a lane: its own, or the only one of its balancer."""
    n_lanes, n_backends = servers.n_flows.shape[1], servers.weight.shape[1]
    if n_backends == n_lanes:
        return lane
    return lane // (n_lanes // n_backends) if n_backends > 1 else 0


@inlined
def view_of(servers, balancer, server):
    """A server as a balancer measures it."""
    return balancer * servers.present.shape[1] + server


@inlined
def flows_of_balancer(servers, env, balancer, server):
    """Flows of a balancer that a server holds."""
    n_balancers = servers.known_down.shape[1]
    if n_balancers == 1:
        return servers.n_running[env, server] + servers.n_waiting[env, server]
    n_classes, n = servers.n_flows.shape[1] // n_balancers, 0
    for lane in range(balancer * n_classes, (balancer + 1) * n_classes):
        n += servers.n_flows[env, lane, server]
    return n


@inlined
def flows_of_backend(servers, env, backend, server):
    """Flows of a backend that a server holds: a balancer counts them for every backend by itself."""
    if servers.weight.shape[1] == servers.n_flows.shape[1]:
        return servers.n_flows[env, backend, server]
    return flows_of_balancer(servers, env, balancer_of_backend(servers, backend), server)
