"""What is known of every server, and of the flows that it holds."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, get_args

import numpy as np

from envs.core.arrays import BoolArray, FloatArray, IntArray, IntArray8, IntArray32
from envs.core.jit import inlined

Service = Literal["ps", "fcfs"]
SERVICES: tuple[Service, ...] = get_args(Service)
PS, FCFS = range(len(SERVICES))
OFF, BOOTING, ON, FAILED = range(4)
NEVER = np.inf


class Servers(NamedTuple):
    """State of all servers. A server holds up to `max_flows` flows, each in a slot.

    The first five are drawn for an episode (:mod:`envs.load_balancing.randomisation`); an absent server has 0 in all.
    """

    present: Annotated[BoolArray, "n_envs n_servers"]
    cores: Annotated[IntArray, "n_envs n_servers"]
    speed: Annotated[FloatArray, "n_envs n_servers"]
    capacity: Annotated[FloatArray, "n_envs n_servers"]  # nominal, seconds of work a second
    price_usd_per_h: Annotated[FloatArray, "n_envs n_servers"]  # of a server fully used
    status: Annotated[IntArray8, "n_envs n_servers"]  # OFF, BOOTING, ON or FAILED
    weight: Annotated[FloatArray, "n_envs n_backends n_servers"]  # in force
    known_down: Annotated[BoolArray, "n_envs n_balancers n_servers"]  # as balancers know, after the fact
    slow: Annotated[FloatArray, "n_envs n_servers"]  # factor on the speed
    n_running: Annotated[IntArray, "n_envs n_servers"]  # flows in service
    n_waiting: Annotated[IntArray, "n_envs n_servers"]  # flows in the FCFS backlog
    n_flows: Annotated[IntArray, "n_envs n_lanes n_servers"]  # flows of each lane, in service or waiting
    switched_s: Annotated[FloatArray, "n_envs n_servers"]  # instant at which it was last switched on or off
    synced_s: Annotated[FloatArray, "n_envs n_servers"]  # instant up to which the fields below are right
    virtual: Annotated[FloatArray, "n_envs n_servers"]  # virtual clock, in seconds of work
    busy_s: Annotated[FloatArray, "n_envs n_servers"]  # core-seconds used in this step, per core
    billed_s: Annotated[FloatArray, "n_envs n_servers"]  # seconds billed in this step
    billed_until_s: Annotated[FloatArray, "n_envs n_servers"]  # end of the least time billed
    departure_s: Annotated[FloatArray, "n_envs n_servers"]  # timers
    ready_s: Annotated[FloatArray, "n_envs n_servers"]
    fault_s: Annotated[FloatArray, "n_envs n_servers"]  # next failure, or recovery while failed
    detection_s: Annotated[FloatArray, "n_envs n_balancers n_servers"]
    slow_s: Annotated[FloatArray, "n_envs n_servers"]  # next change of speed
    next_s: Annotated[FloatArray, "n_envs n_nodes", NEVER]  # tournament of the earliest timer; node 1 is the earliest of all
    heap_finish: Annotated[FloatArray, "n_envs n_servers max_flows"]  # virtual finish times, a binary heap
    heap_slot: Annotated[IntArray32, "n_envs n_servers max_flows"]
    free_slot: Annotated[IntArray32, "n_envs n_servers max_flows"]  # stack of free slots
    waiting_slot: Annotated[IntArray32, "n_envs n_servers max_flows"]  # ring
    waiting_head: Annotated[IntArray, "n_envs n_servers"]
    flow_arrival_s: Annotated[FloatArray, "n_envs n_servers max_flows"]
    flow_start_s: Annotated[FloatArray, "n_envs n_servers max_flows"]
    flow_work_s: Annotated[FloatArray, "n_envs n_servers max_flows"]
    flow_lane: Annotated[IntArray32, "n_envs n_servers max_flows"]
    flow_late: Annotated[BoolArray, "n_envs n_servers max_flows"]  # its deadline passed and was counted


def n_nodes(n_servers: int) -> int:
    """Nodes of a tournament among the servers: node 1 is the root, the leaves are its last half."""
    return 2 << (n_servers - 1).bit_length()


@inlined
def in_flight(servers, env, server):
    """Flows that a server holds, waiting ones included."""
    return servers.n_running[env, server] + servers.n_waiting[env, server]


@inlined
def has_room(servers, env, server):
    """Whether a server can hold another flow."""
    return in_flight(servers, env, server) < servers.free_slot.shape[2]


@inlined
def is_wanted(servers, env, server):
    """Whether any backend gives a server weight."""
    wanted = False
    for backend in range(servers.weight.shape[1]):
        wanted |= servers.weight[env, backend, server] > 0.0
    return wanted
