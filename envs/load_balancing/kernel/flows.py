"""What becomes of a flow: answered, late, lost or rejected."""

from __future__ import annotations

from envs.core.histogram import bin_index
from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.accounts import (
    COMPLETED,
    FLOW_SECONDS,
    IN_FLIGHT,
    LATE,
    LATENCY_S,
    LOST,
    ON_TIME,
)
from envs.load_balancing.kernel.deadlines import NOBODY, count_late, leave
from envs.load_balancing.kernel.servers.state import in_flight


@inlined
def place_of(servers, server, slot):
    """The name of a flow in the lists of flows in flight."""
    return server * servers.free_slot.shape[2] + slot


@inlined
def arrival_s(servers, env, place):
    """When a flow came."""
    return servers.flow_arrival_s[env, place // servers.free_slot.shape[2], place % servers.free_slot.shape[2]]


@inlined
def lose(counts, times, env, lane, kind, held_s, late_already):
    """Count a flow that gets no answer, `LOST` or `REJECTED`, `held_s` into the step: it is late, if it was not already."""
    if not late_already:
        counts[env, lane, LATE] += 1
    counts[env, lane, kind] += 1
    counts[env, lane, IN_FLIGHT] -= 1
    times[env, lane, FLOW_SECONDS] += held_s


@inlined
def _slot_of(servers, env, server, k):
    """The slot of the k-th flow that a server holds: those in service, then those waiting, oldest first."""
    n = servers.n_running[env, server]
    if k < n:
        return servers.heap_slot[env, server, k]
    return servers.waiting_slot[env, server, (servers.waiting_head[env, server] + k - n) % servers.free_slot.shape[2]]


@kernel
def lose_all(servers, flows, counts, times, env, server, held_s):
    """Count all flows of a server that fails."""
    for k in range(in_flight(servers, env, server)):
        slot = _slot_of(servers, env, server, k)
        lane = servers.flow_lane[env, server, slot]
        leave(flows, env, lane, place_of(servers, server, slot))
        lose(counts, times, env, lane, LOST, held_s, servers.flow_late[env, server, slot])


@inlined
def count_answer(counts, times, histogram, env, lane, latency_s, held_s, late, late_already):
    """Count a flow that is answered ``latency_s`` after it came."""
    counts[env, lane, COMPLETED] += 1
    counts[env, lane, IN_FLIGHT] -= 1
    if not late:
        counts[env, lane, ON_TIME] += 1
    elif not late_already:
        counts[env, lane, LATE] += 1
    times[env, lane, LATENCY_S] += latency_s
    times[env, lane, FLOW_SECONDS] += held_s
    histogram[env, lane, bin_index(latency_s)] += 1


@inlined
def count_overdue(servers, flows, counts, env, lane):
    """The oldest flow in time is late from now on, answered or not."""
    place, max_flows = flows.in_time[env, lane], servers.free_slot.shape[2]
    servers.flow_late[env, place // max_flows, place % max_flows] = True
    counts[env, lane, LATE] += 1
    count_late(flows, env, lane)


@inlined
def mark_overdue(servers, flows, counts, deadline_s, env, end_s):
    """Flows whose deadline has passed count as late now."""
    for lane in range(deadline_s.shape[1]):
        while flows.in_time[env, lane] != NOBODY:
            if end_s - arrival_s(servers, env, flows.in_time[env, lane]) <= deadline_s[env, lane]:
                break
            count_overdue(servers, flows, counts, env, lane)


@kernel
def settle_flows(servers, flows, counts, times, histogram, env, now_s):
    """Flows in flight enter the latency figures at their age and count as late."""
    for lane in range(flows.first.shape[1]):
        place = flows.first[env, lane]
        while place != NOBODY:
            age_s = now_s - arrival_s(servers, env, place)
            times[env, lane, LATENCY_S] += age_s
            histogram[env, lane, bin_index(age_s)] += 1
            place = flows.next[env, place]
        while flows.in_time[env, lane] != NOBODY:
            count_overdue(servers, flows, counts, env, lane)
