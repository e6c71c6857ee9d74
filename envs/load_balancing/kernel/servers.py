"""The servers of all envs: queues, service, faults, starting, draining and what each is billed for.

Both disciplines run on one idea. A server has a virtual clock that advances with the work every flow in service has
received: under processor sharing at ``speed * min(1, cores / n)``, under FCFS, where at most ``cores`` flows are in
service, at ``speed``. A flow that enters service at virtual time ``v`` with work ``w`` leaves at ``v + w``, whatever comes
and goes in between, so a heap of these finish times is all a server needs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined, kernel
from envs.core.rng import FAILURE, exponential
from envs.load_balancing.config import SERVICES, ServerPool

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

OFF, BOOTING, ON, FAILED = range(4)
PS, FCFS = range(len(SERVICES))
NEVER = np.inf


class Pool(NamedTuple):
    """Settings of the servers as the kernel reads them."""

    fcfs: bool
    boot_s: float
    min_billed_s: float
    failure_rate_hz: float
    repair_s: float
    detection_s: float
    slowdown_rate_hz: float
    slowdown_s: float
    slowdown_factor: float


def pool(config: ServerPool) -> Pool:
    """The kernel's view of a pool."""
    return Pool(
        fcfs=config.service == "fcfs",
        boot_s=config.boot_s,
        min_billed_s=config.min_billed_s,
        failure_rate_hz=config.failure_rate_hz,
        repair_s=config.repair_s,
        detection_s=config.detection_s,
        slowdown_rate_hz=config.slowdown_rate_hz,
        slowdown_s=config.slowdown_s,
        slowdown_factor=config.slowdown_factor,
    )


class Servers(NamedTuple):
    """State of all servers. M is the number of flows that one holds; a flow lives in a slot.

    The first five are drawn for an episode (:mod:`envs.load_balancing.randomisation`); an absent server has 0 in all.
    """

    present: BoolArray  # (n_envs, n_servers)
    cores: IntArray  # (n_envs, n_servers)
    speed: FloatArray  # (n_envs, n_servers)
    capacity: FloatArray  # (n_envs, n_servers) nominal, seconds of work a second
    price_usd_per_h: FloatArray  # (n_envs, n_servers) of a server fully used
    status: NDArray[np.int8]  # (n_envs, n_servers) OFF, BOOTING, ON or FAILED
    weight: FloatArray  # (n_envs, n_servers) in force
    known_down: BoolArray  # (n_envs, n_servers) the dispatcher's view, `detection_s` late
    slow: FloatArray  # (n_envs, n_servers) factor on the speed
    n_running: IntArray  # (n_envs, n_servers) flows in service
    n_waiting: IntArray  # (n_envs, n_servers) flows in the FCFS backlog
    synced_s: FloatArray  # (n_envs, n_servers) instant up to which the fields below are right
    virtual: FloatArray  # (n_envs, n_servers) virtual clock, in seconds of work
    busy_s: FloatArray  # (n_envs, n_servers) core-seconds used in this step, per core
    billed_s: FloatArray  # (n_envs, n_servers) seconds billed in this step
    billed_until_s: FloatArray  # (n_envs, n_servers) end of the least time billed
    departure_s: FloatArray  # (n_envs, n_servers) timers
    ready_s: FloatArray  # (n_envs, n_servers)
    fault_s: FloatArray  # (n_envs, n_servers) next failure, or recovery while failed
    detection_s: FloatArray  # (n_envs, n_servers)
    slow_s: FloatArray  # (n_envs, n_servers) next change of speed
    next_s: FloatArray  # (n_envs, 2 * n_leaves) tournament of the earliest timer; node 1 is the earliest of all
    heap_finish: FloatArray  # (n_envs, n_servers, M) virtual finish times, a binary heap
    heap_slot: NDArray[np.int32]  # (n_envs, n_servers, M)
    free_slot: NDArray[np.int32]  # (n_envs, n_servers, M) stack of free slots
    waiting_slot: NDArray[np.int32]  # (n_envs, n_servers, M) ring
    waiting_head: IntArray  # (n_envs, n_servers)
    flow_arrival_s: FloatArray  # (n_envs, n_servers, M)
    flow_start_s: FloatArray  # (n_envs, n_servers, M)
    flow_work_s: FloatArray  # (n_envs, n_servers, M)
    flow_class: NDArray[np.int8]  # (n_envs, n_servers, M)
    flow_late: BoolArray  # (n_envs, n_servers, M) its deadline passed and was counted


def new_servers(n_envs: int, n_servers: int, max_flows: int) -> Servers:
    """Empty arrays, filled by :func:`start_servers`."""
    per_server, per_flow = (n_envs, n_servers), (n_envs, n_servers, max_flows)
    n_leaves = 1 << (n_servers - 1).bit_length()
    return Servers(
        present=np.zeros(per_server, np.bool_),
        cores=np.zeros(per_server, np.int64),
        speed=np.zeros(per_server),
        capacity=np.zeros(per_server),
        price_usd_per_h=np.zeros(per_server),
        status=np.zeros(per_server, np.int8),
        weight=np.zeros(per_server),
        known_down=np.zeros(per_server, np.bool_),
        slow=np.zeros(per_server),
        n_running=np.zeros(per_server, np.int64),
        n_waiting=np.zeros(per_server, np.int64),
        synced_s=np.zeros(per_server),
        virtual=np.zeros(per_server),
        busy_s=np.zeros(per_server),
        billed_s=np.zeros(per_server),
        billed_until_s=np.zeros(per_server),
        departure_s=np.zeros(per_server),
        ready_s=np.zeros(per_server),
        fault_s=np.zeros(per_server),
        detection_s=np.zeros(per_server),
        slow_s=np.zeros(per_server),
        next_s=np.full((n_envs, 2 * n_leaves), NEVER),
        heap_finish=np.zeros(per_flow),
        heap_slot=np.zeros(per_flow, np.int32),
        free_slot=np.zeros(per_flow, np.int32),
        waiting_slot=np.zeros(per_flow, np.int32),
        waiting_head=np.zeros(per_server, np.int64),
        flow_arrival_s=np.zeros(per_flow),
        flow_start_s=np.zeros(per_flow),
        flow_work_s=np.zeros(per_flow),
        flow_class=np.zeros(per_flow, np.int8),
        flow_late=np.zeros(per_flow, np.bool_),
    )


@inlined
def in_flight(sv, env, server):  # type: ignore[no-untyped-def]
    """Flows that a server holds, waiting ones included."""
    return sv.n_running[env, server] + sv.n_waiting[env, server]


@kernel
def _empty(sv, env, server):  # type: ignore[no-untyped-def]
    max_flows = sv.free_slot.shape[2]
    sv.n_running[env, server] = 0
    sv.n_waiting[env, server] = 0
    sv.waiting_head[env, server] = 0
    sv.virtual[env, server] = 0.0
    for slot in range(max_flows):
        sv.free_slot[env, server, slot] = max_flows - 1 - slot


@inlined
def _rate(sv, env, server):  # type: ignore[no-untyped-def]
    """Speed of the virtual clock with at least one flow in service."""
    sharing = min(1.0, sv.cores[env, server] / sv.n_running[env, server])
    return sv.speed[env, server] * sv.slow[env, server] * sharing


@inlined
def sync(sv, env, server, t):  # type: ignore[no-untyped-def]
    """Bring virtual clock, use and bill of a server to ``t``."""
    elapsed = t - sv.synced_s[env, server]
    if elapsed <= 0.0:
        return
    status = sv.status[env, server]
    n = sv.n_running[env, server]
    if status == ON and n > 0:
        sv.virtual[env, server] += _rate(sv, env, server) * elapsed
        sv.busy_s[env, server] += elapsed * min(1.0, n / sv.cores[env, server])
    if status in (ON, BOOTING):
        sv.billed_s[env, server] += elapsed
    elif sv.billed_until_s[env, server] > sv.synced_s[env, server]:
        sv.billed_s[env, server] += min(t, sv.billed_until_s[env, server]) - sv.synced_s[env, server]
    sv.synced_s[env, server] = t


@inlined
def schedule(sv, env, server):  # type: ignore[no-untyped-def]
    """Set the departure timer of a synced server and enter its earliest timer in the tournament."""
    departure_s = NEVER
    if sv.status[env, server] == ON and sv.n_running[env, server] > 0:
        rate = _rate(sv, env, server)
        if rate > 0.0:
            left = max(sv.heap_finish[env, server, 0] - sv.virtual[env, server], 0.0)
            departure_s = sv.synced_s[env, server] + left / rate
    sv.departure_s[env, server] = departure_s
    earliest = min(departure_s, sv.ready_s[env, server], sv.fault_s[env, server])
    earliest = min(earliest, sv.detection_s[env, server], sv.slow_s[env, server])
    tree = sv.next_s[env]
    node = tree.shape[0] // 2 + server
    tree[node] = earliest
    while node > 1:
        node //= 2
        tree[node] = min(tree[2 * node], tree[2 * node + 1])


@inlined
def earliest_server(sv, env):  # type: ignore[no-untyped-def]
    """The server whose timer is next."""
    tree = sv.next_s[env]
    n_leaves = tree.shape[0] // 2
    node = 1
    while node < n_leaves:
        node = 2 * node if tree[2 * node] == tree[node] else 2 * node + 1
    return node - n_leaves


@inlined
def _heap_push(finish, slots, n, key, slot):  # type: ignore[no-untyped-def]
    i = n
    while i > 0:
        parent = (i - 1) // 2
        if finish[parent] <= key:
            break
        finish[i], slots[i] = finish[parent], slots[parent]
        i = parent
    finish[i], slots[i] = key, slot


@inlined
def _heap_pop(finish, slots, n):  # type: ignore[no-untyped-def]
    """Remove the root of a heap of ``n``; returns its slot."""
    top = slots[0]
    key, slot = finish[n - 1], slots[n - 1]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n - 1:
            break
        if child + 1 < n - 1 and finish[child + 1] < finish[child]:
            child += 1
        if key <= finish[child]:
            break
        finish[i], slots[i] = finish[child], slots[child]
        i = child
    finish[i], slots[i] = key, slot
    return top


@inlined
def _serve(sv, env, server, slot, start_s):  # type: ignore[no-untyped-def]
    """Put the flow of a slot into service."""
    n = sv.n_running[env, server]
    finish = sv.virtual[env, server] + sv.flow_work_s[env, server, slot]
    _heap_push(sv.heap_finish[env, server], sv.heap_slot[env, server], n, finish, slot)
    sv.flow_start_s[env, server, slot] = start_s
    sv.n_running[env, server] = n + 1


@inlined
def admit(pl, sv, env, server, t, work_s, flow_class):  # type: ignore[no-untyped-def]
    """Give a flow to a server that has room; on one that boots it waits for the boot to end. Returns its slot."""
    sync(sv, env, server, t)
    max_flows = sv.free_slot.shape[2]
    held = in_flight(sv, env, server)
    slot = sv.free_slot[env, server, max_flows - 1 - held]
    sv.flow_arrival_s[env, server, slot] = t
    sv.flow_work_s[env, server, slot] = work_s
    sv.flow_class[env, server, slot] = flow_class
    sv.flow_late[env, server, slot] = False
    if pl.fcfs and sv.n_running[env, server] >= sv.cores[env, server]:
        tail = (sv.waiting_head[env, server] + sv.n_waiting[env, server]) % max_flows
        sv.waiting_slot[env, server, tail] = slot
        sv.n_waiting[env, server] += 1
        return slot
    start_s = sv.ready_s[env, server] if sv.status[env, server] == BOOTING else t
    _serve(sv, env, server, slot, start_s)
    schedule(sv, env, server)
    return slot


@inlined
def depart(sv, env, server):  # type: ignore[no-untyped-def]
    """End the flow in service that finishes first, on a synced server; returns its slot, still readable."""
    max_flows = sv.free_slot.shape[2]
    finish = sv.heap_finish[env, server, 0]
    slot = _heap_pop(sv.heap_finish[env, server], sv.heap_slot[env, server], sv.n_running[env, server])
    sv.n_running[env, server] -= 1
    sv.virtual[env, server] = max(sv.virtual[env, server], finish)
    if sv.n_waiting[env, server] > 0:
        head = sv.waiting_head[env, server]
        sv.waiting_head[env, server] = (head + 1) % max_flows
        sv.n_waiting[env, server] -= 1
        _serve(sv, env, server, sv.waiting_slot[env, server, head], sv.synced_s[env, server])
    sv.free_slot[env, server, max_flows - 1 - in_flight(sv, env, server)] = slot
    if sv.n_running[env, server] == 0:
        sv.virtual[env, server] = 0.0
        if sv.weight[env, server] == 0.0:
            sv.status[env, server] = OFF
    schedule(sv, env, server)
    return slot


@kernel
def set_weight(pl, sv, env, server, t, weight):  # type: ignore[no-untyped-def]
    """Put a weight in force: 0 drains and, once empty, stops the server; above 0 starts it again. Returns 1 on a start."""
    sync(sv, env, server, t)
    sv.weight[env, server] = weight
    status = sv.status[env, server]
    started = 0
    if weight > 0.0 and status == OFF:
        started = 1
        sv.billed_until_s[env, server] = t + pl.min_billed_s
        sv.status[env, server] = BOOTING if pl.boot_s > 0.0 else ON
        sv.ready_s[env, server] = t + pl.boot_s if pl.boot_s > 0.0 else NEVER
    elif weight == 0.0 and status in (ON, BOOTING) and in_flight(sv, env, server) == 0:
        sv.status[env, server] = OFF
        sv.ready_s[env, server] = NEVER
    schedule(sv, env, server)
    return started


@kernel
def finish_boot(sv, env, server):  # type: ignore[no-untyped-def]
    """A synced server begins to serve."""
    sv.ready_s[env, server] = NEVER
    idle = sv.weight[env, server] == 0.0 and in_flight(sv, env, server) == 0
    sv.status[env, server] = OFF if idle else ON
    schedule(sv, env, server)


@kernel
def switch_fault(pl, sv, streams, env, server):  # type: ignore[no-untyped-def]
    """A synced server fails and loses its flows, or recovers; faults keep their own clock, whatever the actions."""
    now_s = sv.fault_s[env, server]
    stream = streams[env, FAILURE]
    if sv.status[env, server] == FAILED:
        sv.status[env, server] = ON if sv.weight[env, server] > 0.0 else OFF
        sv.fault_s[env, server] = now_s + exponential(stream, 1.0 / pl.failure_rate_hz)
    else:
        _empty(sv, env, server)
        sv.status[env, server] = FAILED
        sv.ready_s[env, server] = NEVER
        sv.billed_until_s[env, server] = now_s
        sv.fault_s[env, server] = now_s + exponential(stream, pl.repair_s)
    sv.detection_s[env, server] = now_s + pl.detection_s
    schedule(sv, env, server)


@kernel
def detect(sv, env, server):  # type: ignore[no-untyped-def]
    """The dispatcher learns the state of a server."""
    sv.known_down[env, server] = sv.status[env, server] == FAILED
    sv.detection_s[env, server] = NEVER
    schedule(sv, env, server)


@kernel
def switch_speed(pl, sv, streams, env, server):  # type: ignore[no-untyped-def]
    """A synced server slows down or gets its speed back."""
    slowing = sv.slow[env, server] == 1.0
    mean_s = pl.slowdown_s if slowing else 1.0 / pl.slowdown_rate_hz
    sv.slow[env, server] = pl.slowdown_factor if slowing else 1.0
    sv.slow_s[env, server] += exponential(streams[env, FAILURE], mean_s)
    schedule(sv, env, server)


@kernel
def start_servers(pl, sv, streams, env):  # type: ignore[no-untyped-def]
    """Begin an episode: every server present on, empty, at full speed and with weight 1; an absent one known to be down."""
    stream = streams[env, FAILURE]
    for server in range(sv.present.shape[1]):
        present = sv.present[env, server]
        _empty(sv, env, server)
        sv.status[env, server] = ON if present else OFF
        sv.weight[env, server] = 1.0 if present else 0.0
        sv.known_down[env, server] = not present
        sv.slow[env, server] = 1.0
        sv.synced_s[env, server] = 0.0
        sv.busy_s[env, server] = 0.0
        sv.billed_s[env, server] = 0.0
        sv.billed_until_s[env, server] = 0.0
        sv.ready_s[env, server] = NEVER
        sv.detection_s[env, server] = NEVER
        failing, slowing = present and pl.failure_rate_hz > 0.0, present and pl.slowdown_rate_hz > 0.0
        sv.fault_s[env, server] = exponential(stream, 1.0 / pl.failure_rate_hz) if failing else NEVER
        sv.slow_s[env, server] = exponential(stream, 1.0 / pl.slowdown_rate_hz) if slowing else NEVER
        schedule(sv, env, server)
