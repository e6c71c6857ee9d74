"""The flows of a server: a heap of those in service, and a ring of those that wait under FCFS."""

from __future__ import annotations

from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.heap import heap_pop, heap_push
from envs.load_balancing.kernel.servers.clock import schedule, sync
from envs.load_balancing.kernel.servers.state import BOOTING, FCFS, OFF, in_flight, is_wanted


@kernel
def empty(servers, env, server):
    """Drop whatever a server holds."""
    max_flows = servers.free_slot.shape[2]
    servers.n_running[env, server] = 0
    servers.n_waiting[env, server] = 0
    servers.n_flows[env, :, server] = 0
    servers.waiting_head[env, server] = 0
    servers.virtual[env, server] = 0.0
    for slot in range(max_flows):
        servers.free_slot[env, server, slot] = max_flows - 1 - slot


@inlined
def _serve(servers, env, server, slot, start_s):
    """Put the flow of a slot into service."""
    n = servers.n_running[env, server]
    finish = servers.virtual[env, server] + servers.flow_work_s[env, server, slot]
    heap_push(servers.heap_finish[env, server], servers.heap_slot[env, server], n, finish, slot)
    servers.flow_start_s[env, server, slot] = start_s
    servers.n_running[env, server] = n + 1


@inlined
def admit(params, servers, env, server, t, work_s, lane):
    """Give a flow to a server that has room; on one that boots it waits for the boot to end. Returns its slot."""
    sync(servers, env, server, t)
    max_flows = servers.free_slot.shape[2]
    held = in_flight(servers, env, server)
    slot = servers.free_slot[env, server, max_flows - 1 - held]
    servers.flow_arrival_s[env, server, slot] = t
    servers.flow_work_s[env, server, slot] = work_s
    servers.flow_lane[env, server, slot] = lane
    servers.flow_late[env, server, slot] = False
    servers.n_flows[env, lane, server] += 1
    if params.service == FCFS and servers.n_running[env, server] >= servers.cores[env, server]:
        tail = (servers.waiting_head[env, server] + servers.n_waiting[env, server]) % max_flows
        servers.waiting_slot[env, server, tail] = slot
        servers.n_waiting[env, server] += 1
        return slot
    start_s = servers.ready_s[env, server] if servers.status[env, server] == BOOTING else t
    _serve(servers, env, server, slot, start_s)
    schedule(servers, env, server)
    return slot


@inlined
def depart(servers, env, server):
    """End the flow in service that finishes first, on a synced server; returns its slot, still readable."""
    max_flows = servers.free_slot.shape[2]
    finish = servers.heap_finish[env, server, 0]
    slot = heap_pop(servers.heap_finish[env, server], servers.heap_slot[env, server], servers.n_running[env, server])
    servers.n_running[env, server] -= 1
    servers.n_flows[env, servers.flow_lane[env, server, slot], server] -= 1
    servers.virtual[env, server] = max(servers.virtual[env, server], finish)
    if servers.n_waiting[env, server] > 0:
        head = servers.waiting_head[env, server]
        servers.waiting_head[env, server] = (head + 1) % max_flows
        servers.n_waiting[env, server] -= 1
        _serve(servers, env, server, servers.waiting_slot[env, server, head], servers.synced_s[env, server])
    servers.free_slot[env, server, max_flows - 1 - in_flight(servers, env, server)] = slot
    if servers.n_running[env, server] == 0:
        servers.virtual[env, server] = 0.0
        if not is_wanted(servers, env, server):
            servers.status[env, server] = OFF
    schedule(servers, env, server)
    return slot
