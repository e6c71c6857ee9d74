"""The event loop: all envs, one step, one numba call.

An env step goes from event to event: the next request or change of rate, the next timer of a server, the end of the step.
Flows are conserved: ``arrived == completed + lost + rejected + in_flight`` holds after every step, per lane.

What an episode adds up lives in arrays of totals, cumulative since the reset, so that a step, a window and an episode are
all differences of the same numbers.
"""

from __future__ import annotations

from envs.core.jit import inlined, kernel
from envs.load_balancing.kernel.accounts import (
    ARRIVED,
    FLOW_SECONDS,
    IN_FLIGHT,
    LOST,
    REJECTED,
    RETRIED,
    close_step,
    open_step,
    price_servers,
)
from envs.load_balancing.kernel.arrivals.traffic import change_rate, draw_next, start_source, time_of_day
from envs.load_balancing.kernel.balancers import backend_of_lane, balancer_of_lane, draw_lane, view_of
from envs.load_balancing.kernel.deadlines import clear_in_flight, enter, leave
from envs.load_balancing.kernel.dispatch.dispatcher import choose, clear_dispatcher, learn, rank, rank_in_all
from envs.load_balancing.kernel.flows import count_answer, lose, lose_all, mark_overdue, place_of, settle_flows
from envs.load_balancing.kernel.measuring import clear_measured, measure_servers
from envs.load_balancing.kernel.recent import take_in_step
from envs.load_balancing.kernel.reservoir import sample
from envs.load_balancing.kernel.retries import clear_retries, next_retry_s, perhaps_come_back, pop_retry
from envs.load_balancing.kernel.servers.clock import earliest_server, next_detection_s, sync
from envs.load_balancing.kernel.servers.life import (
    detect,
    finish_boot,
    set_weights,
    start_servers,
    switch_fault,
    switch_speed,
)
from envs.load_balancing.kernel.servers.queue import admit, depart
from envs.load_balancing.kernel.servers.state import FAILED, has_room


@inlined
def _rank(params, state, env, backend, server, in_all):
    """Rank a server anew in the backend whose flows have changed; in all of them where it is full, or was."""
    if in_all:
        rank_in_all(params.dispatch, state.dispatcher, state.servers, env, server)
    else:
        rank(params.dispatch, state.dispatcher, state.servers, env, backend, server)


@inlined
def _arrive(params, state, env, t, start_s, work_s, lane, number, attempt):
    servers = state.servers
    state.counts[env, lane, ARRIVED] += 1
    state.counts[env, lane, IN_FLIGHT] += 1
    state.times[env, lane, FLOW_SECONDS] -= t - start_s
    backend = backend_of_lane(servers, lane)
    server = choose(params.dispatch, state.dispatcher, servers, state.streams, env, backend, t)
    if server < 0:
        lose(state.counts, state.times, env, lane, REJECTED, t - start_s, False)
        if params.retries.probability > 0.0:
            perhaps_come_back(params.retries, state.retries, env, t, work_s, lane, number, attempt)
    elif servers.status[env, server] == FAILED:
        lose(state.counts, state.times, env, lane, LOST, t - start_s, False)
    else:
        slot = admit(params.pool, servers, env, server, t, work_s, lane)
        enter(state.in_flight, env, lane, place_of(servers, server, slot))
        _rank(params, state, env, backend, server, not has_room(servers, env, server))


@kernel
def _come_back(params, state, env, t, start_s):
    retries = state.retries
    slot = pop_retry(retries, env)
    lane = retries.lane[env, slot]
    state.counts[env, lane, RETRIED] += 1
    work_s, number, attempt = retries.work_s[env, slot], retries.number[env, slot], retries.attempt[env, slot]
    _arrive(params, state, env, t, start_s, work_s, lane, number, attempt)


@inlined
def _complete(params, state, env, server, t, start_s):
    servers = state.servers
    was_full = not has_room(servers, env, server)
    slot = depart(servers, env, server)
    lane = servers.flow_lane[env, server, slot]
    leave(state.in_flight, env, lane, place_of(servers, server, slot))
    latency_s = t - servers.flow_arrival_s[env, server, slot]
    late, late_already = latency_s > state.deadline_s[env, lane], servers.flow_late[env, server, slot]
    held_s = t - start_s
    count_answer(state.counts, state.times, state.histogram, env, lane, latency_s, held_s, late, late_already)
    view = view_of(servers, balancer_of_lane(servers, lane), server)
    state.answered[env, view] += 1
    if params.samples:
        duration_s = t - servers.flow_start_s[env, server, slot]
        sample(state.reservoir, state.streams, env, view, t, latency_s, duration_s)
    backend = backend_of_lane(servers, lane)
    learn(params.dispatch, state.dispatcher, env, backend, server, t, latency_s)
    _rank(params, state, env, backend, server, was_full)


@inlined
def _server_event(params, state, env, server, t, start_s):
    """One timer of a server has run out: exactly one thing happens; what else is due is due again at once."""
    servers = state.servers
    sync(servers, env, server, t)
    if servers.departure_s[env, server] <= t:
        _complete(params, state, env, server, t, start_s)
        return
    if servers.ready_s[env, server] <= t:
        finish_boot(servers, env, server)
    elif servers.fault_s[env, server] <= t:
        if servers.status[env, server] != FAILED:
            lose_all(servers, state.in_flight, state.counts, state.times, env, server, t - start_s)
        switch_fault(params.pool, params.balancers, servers, state.streams, env, server)
    elif next_detection_s(servers, env, server) <= t:
        detect(servers, env, server, t)
    else:
        switch_speed(params.pool, servers, state.streams, env, server)
    rank_in_all(params.dispatch, state.dispatcher, servers, env, server)


@inlined
def _measure(params, state, env, end_s):
    state.time_of_day[env] = time_of_day(params.traffic, state.source, env, end_s)
    measure_servers(state, env, end_s)


@inlined
def _put_in_force(params, state, env, weights, start_s):
    servers = state.servers
    for server in range(weights.shape[1]):
        if not servers.present[env, server]:
            continue
        changed = False
        for backend in range(weights.shape[0]):
            changed |= servers.weight[env, backend, server] != weights[backend, server]
        if changed:
            state.n_starts[env] += set_weights(params.pool, servers, env, server, start_s, weights)
            rank_in_all(params.dispatch, state.dispatcher, servers, env, server)


@inlined
def _run_events(params, state, env, start_s, end_s):
    servers, source = state.servers, state.source
    while True:
        request_s, server_s = source.time_s[env], servers.next_s[env, 1]
        retry_s = next_retry_s(state.retries, env)
        if min(request_s, server_s, retry_s) > end_s:
            break
        if retry_s < min(request_s, server_s):
            _come_back(params, state, env, retry_s, start_s)
            continue
        if server_s <= request_s:
            _server_event(params, state, env, earliest_server(servers, env), server_s, start_s)
            continue
        if source.is_request[env]:
            number = state.retries.n_fresh[env]
            state.retries.n_fresh[env] = number + 1
            lane = draw_lane(params.balancers, state.streams, env, source.flow_class[env], source.mean_work_s.shape[1])
            _arrive(params, state, env, request_s, start_s, source.work_s[env], lane, number, 0)
        else:
            change_rate(params.traffic, source, state.streams, env)
        draw_next(params.traffic, source, state.streams, env, request_s)


@kernel
def advance(params, state, weights, running):
    """Run the envs in ``running (n_envs,)`` for one step of `dt_s` under ``weights (n_envs, n_backends, n_servers)``.

    Weights of absent servers count as 0.
    """
    servers, counts, times = state.servers, state.counts, state.times
    for env in range(weights.shape[0]):
        if not running[env]:
            continue
        start_s = state.clock_s[env]
        end_s = start_s + params.dt_s
        open_step(state.step, counts, times, env)
        servers.busy_s[env] = 0.0
        servers.billed_s[env] = 0.0
        _put_in_force(params, state, env, weights[env], start_s)
        _run_events(params, state, env, start_s, end_s)
        for server in range(weights.shape[2]):
            sync(servers, env, server, end_s)
        for lane in range(counts.shape[1]):
            times[env, lane, FLOW_SECONDS] += counts[env, lane, IN_FLIGHT] * params.dt_s
        state.clock_s[env] = end_s
        mark_overdue(servers, state.in_flight, counts, state.deadline_s, env, end_s)
        price_servers(params.prices, servers, state.step, state.sums, env)
        close_step(params.prices, state.step, counts, times, state.sums, env)
        take_in_step(params.spans, state.recent, counts, times, env)
        _measure(params, state, env, end_s)


@kernel
def reset(params, state, mask):
    """Begin a new episode where ``mask (n_envs,)`` is set, in the world drawn for it; the streams go on."""
    servers = state.servers
    for env in range(mask.shape[0]):
        if not mask[env]:
            continue
        clear_measured(params.prices, state, env)
        clear_in_flight(state.in_flight, env)
        clear_dispatcher(params.dispatch, state.dispatcher, env)
        start_servers(params.pool, servers, state.streams, env)
        for server in range(servers.present.shape[1]):
            rank_in_all(params.dispatch, state.dispatcher, servers, env, server)
        start_source(params.traffic, state.source, state.streams, env)
        clear_retries(state.retries, state.streams, env)
        _measure(params, state, env, 0.0)


@kernel
def settle(state, mask):
    """At the end of an episode: flows in flight enter the latency figures at their age and count as late.

    They got no answer in time, and what waits at the end must not be free. They stay in flight for the conservation law.
    """
    for env in range(mask.shape[0]):
        if mask[env]:
            now_s = state.clock_s[env]
            settle_flows(state.servers, state.in_flight, state.counts, state.times, state.histogram, env, now_s)
