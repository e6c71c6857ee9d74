"""The event loop: all envs, one step, one numba call.

An env step goes from event to event: the next request or change of rate, the next timer of a server, the end of the step.
Flows are conserved: ``arrived == completed + lost + rejected + in_flight`` holds after every step, per class.

What an episode adds up lives in arrays of totals, cumulative since the reset, so that a step, a window and an episode are
all differences of the same numbers.
"""

from __future__ import annotations

from envs.core.histogram import bin_index
from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.accounts import (
    ARRIVED,
    COMPLETED,
    FLOW_SECONDS,
    IN_FLIGHT,
    LATE,
    LATENCY_S,
    LOST,
    OLDEST_S,
    ON_TIME,
    REJECTED,
    clear_accounts,
    close_step,
    open_step,
)
from envs.load_balancing.kernel.deadlines import NOBODY, clear_in_flight, count_late, enter, leave
from envs.load_balancing.kernel.dispatch import choose, clear_dispatcher, learn, rank
from envs.load_balancing.kernel.reservoir import clear_reservoir, measure, sample
from envs.load_balancing.kernel.servers import (
    FAILED,
    admit,
    depart,
    detect,
    earliest_server,
    finish_boot,
    in_flight,
    set_weight,
    start_servers,
    switch_fault,
    switch_speed,
    sync,
)
from envs.load_balancing.kernel.traffic import change_rate, draw_next, start_source


@inlined
def _lose(st, env, flow_class, kind, t, start_s, late_already):  # type: ignore[no-untyped-def]
    """Count a flow that gets no answer: it is late at once, if it was not already."""
    if not late_already:
        st.counts[env, flow_class, LATE] += 1
    st.counts[env, flow_class, kind] += 1
    st.counts[env, flow_class, IN_FLIGHT] -= 1
    st.times[env, flow_class, FLOW_SECONDS] += t - start_s


@inlined
def _place(sv, server, slot):  # type: ignore[no-untyped-def]
    """The name of a flow in the lists of flows in flight."""
    return server * sv.free_slot.shape[2] + slot


@inlined
def _arrive(pr, st, env, start_s):  # type: ignore[no-untyped-def]
    sv, t = st.servers, st.source.time_s[env]
    flow_class = st.source.flow_class[env]
    st.counts[env, flow_class, ARRIVED] += 1
    st.counts[env, flow_class, IN_FLIGHT] += 1
    st.times[env, flow_class, FLOW_SECONDS] -= t - start_s
    server = choose(pr.rule, sv, st.dispatcher, st.streams, env, t)
    if server < 0 or (sv.status[env, server] != FAILED and in_flight(sv, env, server) >= sv.free_slot.shape[2]):
        _lose(st, env, flow_class, REJECTED, t, start_s, False)
    elif sv.status[env, server] == FAILED:
        _lose(st, env, flow_class, LOST, t, start_s, False)
    else:
        slot = admit(pr.pool, sv, env, server, t, st.source.work_s[env], flow_class)
        enter(st.in_flight, env, flow_class, _place(sv, server, slot))
        rank(pr.rule, sv, st.dispatcher, env, server)


@inlined
def _complete(pr, st, env, server, t, start_s):  # type: ignore[no-untyped-def]
    sv = st.servers
    slot = depart(sv, env, server)
    flow_class = sv.flow_class[env, server, slot]
    leave(st.in_flight, env, flow_class, _place(sv, server, slot))
    latency_s = t - sv.flow_arrival_s[env, server, slot]
    late = latency_s > st.deadline_s[env, flow_class]
    st.counts[env, flow_class, COMPLETED] += 1
    st.counts[env, flow_class, IN_FLIGHT] -= 1
    if not late:
        st.counts[env, flow_class, ON_TIME] += 1
    elif not sv.flow_late[env, server, slot]:
        st.counts[env, flow_class, LATE] += 1
    st.times[env, flow_class, LATENCY_S] += latency_s
    st.times[env, flow_class, FLOW_SECONDS] += t - start_s
    st.histogram[env, flow_class, bin_index(latency_s)] += 1
    st.answered[env, server] += 1
    duration_s = t - sv.flow_start_s[env, server, slot]
    sample(st.reservoir, st.streams, env, server, t, latency_s, duration_s)
    learn(pr.rule, st.dispatcher, env, server, t, latency_s)


@inlined
def _slot_of(sv, env, server, k):  # type: ignore[no-untyped-def]
    """The slot of the k-th flow that a server holds: those in service, then those waiting, oldest first."""
    n = sv.n_running[env, server]
    if k < n:
        return sv.heap_slot[env, server, k]
    return sv.waiting_slot[env, server, (sv.waiting_head[env, server] + k - n) % sv.free_slot.shape[2]]


@kernel
def _lose_all(st, env, server, t, start_s):  # type: ignore[no-untyped-def]
    sv = st.servers
    for k in range(in_flight(sv, env, server)):
        slot = _slot_of(sv, env, server, k)
        leave(st.in_flight, env, sv.flow_class[env, server, slot], _place(sv, server, slot))
        _lose(st, env, sv.flow_class[env, server, slot], LOST, t, start_s, sv.flow_late[env, server, slot])


@inlined
def _server_event(pr, st, env, server, t, start_s):  # type: ignore[no-untyped-def]
    """One timer of a server has run out: exactly one thing happens; what else is due is due again at once."""
    sv = st.servers
    sync(sv, env, server, t)
    if sv.departure_s[env, server] <= t:
        _complete(pr, st, env, server, t, start_s)
    elif sv.ready_s[env, server] <= t:
        finish_boot(sv, env, server)
    elif sv.fault_s[env, server] <= t:
        if sv.status[env, server] != FAILED:
            _lose_all(st, env, server, t, start_s)
        switch_fault(pr.pool, sv, st.streams, env, server)
    elif sv.detection_s[env, server] <= t:
        detect(sv, env, server)
    else:
        switch_speed(pr.pool, sv, st.streams, env, server)
    rank(pr.rule, sv, st.dispatcher, env, server)


@inlined
def _count_late(st, env, flow_class):  # type: ignore[no-untyped-def]
    """The oldest flow in time is late from now on, answered or not."""
    place, max_flows = st.in_flight.in_time[env, flow_class], st.servers.free_slot.shape[2]
    st.servers.flow_late[env, place // max_flows, place % max_flows] = True
    st.counts[env, flow_class, LATE] += 1
    count_late(st.in_flight, env, flow_class)


@inlined
def _arrival_s(sv, env, place):  # type: ignore[no-untyped-def]
    return sv.flow_arrival_s[env, place // sv.free_slot.shape[2], place % sv.free_slot.shape[2]]


@inlined
def _mark_overdue(st, env, end_s):  # type: ignore[no-untyped-def]
    """Flows whose deadline has passed count as late now; also notes the oldest age per class."""
    fl = st.in_flight
    for flow_class in range(st.deadline_s.shape[1]):
        oldest = fl.first[env, flow_class]
        st.times[env, flow_class, OLDEST_S] = end_s - _arrival_s(st.servers, env, oldest) if oldest != NOBODY else 0.0
        while fl.in_time[env, flow_class] != NOBODY:
            if end_s - _arrival_s(st.servers, env, fl.in_time[env, flow_class]) <= st.deadline_s[env, flow_class]:
                break
            _count_late(st, env, flow_class)


@inlined
def _measure(st, env, end_s):  # type: ignore[no-untyped-def]
    for server in range(st.servers.weight.shape[1]):
        st.features[env, server, 0] = in_flight(st.servers, env, server)
        measure(st.reservoir, env, server, end_s, st.features[env, server, 1:])


@inlined
def _advance_env(pr, st, env, weights):  # type: ignore[no-untyped-def]
    sv = st.servers
    start_s = st.clock_s[env]
    end_s = start_s + pr.dt_s
    open_step(st, env)
    sv.busy_s[env] = 0.0
    sv.billed_s[env] = 0.0
    for server in range(weights.shape[0]):
        weight = weights[server] if sv.present[env, server] else 0.0
        if sv.weight[env, server] != weight:
            st.n_starts[env] += set_weight(pr.pool, sv, env, server, start_s, weight)
            rank(pr.rule, sv, st.dispatcher, env, server)
    while True:
        request_s, server_s = st.source.time_s[env], sv.next_s[env, 1]
        if min(request_s, server_s) > end_s:
            break
        if server_s <= request_s:
            _server_event(pr, st, env, earliest_server(sv, env), server_s, start_s)
            continue
        if st.source.is_request[env]:
            _arrive(pr, st, env, start_s)
        else:
            change_rate(pr.traffic, st.source, st.streams, env)
        draw_next(pr.traffic, st.source, st.streams, env, request_s)
    for server in range(weights.shape[0]):
        sync(sv, env, server, end_s)
    for flow_class in range(st.deadline_s.shape[1]):
        st.times[env, flow_class, FLOW_SECONDS] += st.counts[env, flow_class, IN_FLIGHT] * pr.dt_s
    st.clock_s[env] = end_s
    _mark_overdue(st, env, end_s)
    close_step(pr.prices, st, env)
    _measure(st, env, end_s)


@kernel
def advance(pr, st, weights, running):  # type: ignore[no-untyped-def]
    """Run the envs in ``running (n_envs,)`` for one step of `dt_s` under ``weights (n_envs, n_servers)``.

    Weights of absent servers count as 0.
    """
    for env in range(weights.shape[0]):
        if running[env]:
            _advance_env(pr, st, env, weights[env])


@kernel
def reset(pr, st, mask):  # type: ignore[no-untyped-def]
    """Begin a new episode where ``mask (n_envs,)`` is set, in the world drawn for it; the streams go on."""
    for env in range(mask.shape[0]):
        if not mask[env]:
            continue
        st.clock_s[env] = 0.0
        st.counts[env] = 0
        st.times[env] = 0.0
        st.n_starts[env] = 0
        st.histogram[env] = 0
        st.answered[env] = 0
        clear_accounts(pr.prices, st, env)
        clear_in_flight(st.in_flight, env)
        clear_dispatcher(st.dispatcher, env)
        clear_reservoir(st.reservoir, env)
        start_servers(pr.pool, st.servers, st.streams, env)
        for server in range(st.servers.weight.shape[1]):
            rank(pr.rule, st.servers, st.dispatcher, env, server)
        start_source(pr.traffic, st.source, st.streams, env)
        _measure(st, env, 0.0)


@kernel
def settle(st, mask):  # type: ignore[no-untyped-def]
    """At the end of an episode: flows in flight enter the latency figures at their age and count as late.

    They got no answer in time, and what waits at the end must not be free. They stay in flight for the conservation law.
    """
    for env in range(mask.shape[0]):
        for flow_class in range(st.deadline_s.shape[1] if mask[env] else 0):
            place = st.in_flight.first[env, flow_class]
            while place != NOBODY:
                age_s = st.clock_s[env] - _arrival_s(st.servers, env, place)
                st.times[env, flow_class, LATENCY_S] += age_s
                st.histogram[env, flow_class, bin_index(age_s)] += 1
                place = st.in_flight.next[env, place]
            while st.in_flight.in_time[env, flow_class] != NOBODY:
                _count_late(st, env, flow_class)
