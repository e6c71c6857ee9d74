"""The event loop: all envs, one step, one numba call.

An env step goes from event to event: the next request or change of rate, the next timer of a server, the end of the step.
Flows are conserved: ``arrived == completed + lost + rejected + in_flight`` holds after every step, per class.

What an episode adds up lives in two arrays of totals, cumulative since the reset, so that a step, a window and an episode
are all differences of the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.histogram import N_BINS, bin_index
from envs.jit import inlined, kernel
from envs.load_balancing.config import CLASSES, LoadBalancingConfig, TraceSplit
from envs.load_balancing.dispatch import Dispatcher, Rule, choose, clear_dispatcher, learn, new_dispatcher, rule
from envs.load_balancing.reservoir import FEATURES, Reservoir, clear_reservoir, measure, new_reservoir, sample
from envs.load_balancing.servers import (
    FAILED,
    NEVER,
    OFF,
    Pool,
    Servers,
    admit,
    depart,
    detect,
    earliest_server,
    finish_boot,
    in_flight,
    new_servers,
    pool,
    set_weight,
    start_servers,
    switch_fault,
    switch_speed,
    sync,
)
from envs.load_balancing.traffic import Source, Traffic, change_rate, draw_next, new_source, start_source, traffic

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CLASS_COUNTS: tuple[str, ...] = ("arrived", "completed", "lost", "rejected", "on_time", "late", "in_flight")
ARRIVED, COMPLETED, LOST, REJECTED, ON_TIME, LATE, IN_FLIGHT = range(len(CLASS_COUNTS))
CLASS_TIMES: tuple[str, ...] = ("latency_s", "flow_seconds", "oldest_s")
LATENCY_S, FLOW_SECONDS, OLDEST_S = range(len(CLASS_TIMES))


class Params(NamedTuple):
    """All settings, as arrays and numbers."""

    dt_s: float
    deadline_s: FloatArray  # (C,)
    pool: Pool
    traffic: Traffic
    rule: Rule


class State(NamedTuple):
    """Everything that moves. A batch of one env is an env."""

    clock_s: FloatArray  # (n_envs,) since the reset
    streams: NDArray[np.uint64]  # (n_envs, n_purposes, 4)
    source: Source
    servers: Servers
    dispatcher: Dispatcher
    reservoir: Reservoir
    counts: IntArray  # (n_envs, n_classes, len(CLASS_COUNTS)) cumulative, but for in_flight, which is now
    times: FloatArray  # (n_envs, n_classes, len(CLASS_TIMES)) cumulative, but for oldest_s, the oldest age now
    n_starts: IntArray  # (n_envs,) starts of drained servers, cumulative
    histogram: IntArray  # (n_envs, n_classes, N_BINS) latencies, cumulative
    answered: IntArray  # (n_envs, n_servers) flows completed, cumulative
    features: NDArray[np.float32]  # (n_envs, n_servers, 11) measured at the end of the step


def params(config: LoadBalancingConfig, split: TraceSplit) -> Params:
    """The kernel's view of a config; reads the trace, if there is one."""
    return Params(
        dt_s=config.dt_s,
        deadline_s=np.array([c.deadline_s for c in config.workload.classes]),
        pool=pool(config.pool),
        traffic=traffic(config, split),
        rule=rule(config.dispatch),
    )


def new_state(config: LoadBalancingConfig, streams: NDArray[np.uint64]) -> State:
    """Arrays for as many envs as there are rows of streams; :func:`reset` fills them."""
    n_envs, n_servers, n_classes = len(streams), config.pool.n_servers, len(CLASSES)
    return State(
        clock_s=np.zeros(n_envs),
        streams=streams,
        source=new_source(n_envs),
        servers=new_servers(n_envs, n_servers, config.pool.max_flows),
        dispatcher=new_dispatcher(n_envs, n_servers, config.dispatch.probe_pool),
        reservoir=new_reservoir(n_envs, n_servers),
        counts=np.zeros((n_envs, n_classes, len(CLASS_COUNTS)), np.int64),
        times=np.zeros((n_envs, n_classes, len(CLASS_TIMES))),
        n_starts=np.zeros(n_envs, np.int64),
        histogram=np.zeros((n_envs, n_classes, N_BINS), np.int64),
        answered=np.zeros((n_envs, n_servers), np.int64),
        features=np.zeros((n_envs, n_servers, len(FEATURES)), np.float32),
    )


@inlined
def _lose(st, env, flow_class, kind, t, start_s, late_already):  # type: ignore[no-untyped-def]
    """Count a flow that gets no answer: it is late at once, if it was not already."""
    if not late_already:
        st.counts[env, flow_class, LATE] += 1
    st.counts[env, flow_class, kind] += 1
    st.counts[env, flow_class, IN_FLIGHT] -= 1
    st.times[env, flow_class, FLOW_SECONDS] += t - start_s


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
        admit(pr.pool, sv, env, server, t, st.source.work_s[env], flow_class)


@inlined
def _complete(pr, st, env, server, t, start_s, end_s):  # type: ignore[no-untyped-def]
    sv = st.servers
    slot = depart(pr.pool, sv, env, server)
    flow_class = sv.flow_class[env, server, slot]
    latency_s = t - sv.flow_arrival_s[env, server, slot]
    late = latency_s > pr.deadline_s[flow_class]
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
    sample(st.reservoir, st.streams, env, server, t, end_s, latency_s, duration_s)
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
        _lose(st, env, sv.flow_class[env, server, slot], LOST, t, start_s, sv.flow_late[env, server, slot])


@inlined
def _server_event(pr, st, env, server, t, start_s, end_s):  # type: ignore[no-untyped-def]
    """One timer of a server has run out: exactly one thing happens; what else is due is due again at once."""
    sv = st.servers
    sync(pr.pool, sv, env, server, t)
    if sv.departure_s[env, server] <= t:
        _complete(pr, st, env, server, t, start_s, end_s)
    elif sv.ready_s[env, server] <= t:
        finish_boot(pr.pool, sv, env, server)
    elif sv.fault_s[env, server] <= t:
        if sv.status[env, server] != FAILED:
            _lose_all(st, env, server, t, start_s)
        switch_fault(pr.pool, sv, st.streams, env, server)
    elif sv.detection_s[env, server] <= t:
        detect(pr.pool, sv, env, server)
    else:
        switch_speed(pr.pool, sv, st.streams, env, server)


@inlined
def _mark_overdue(pr, st, env, end_s):  # type: ignore[no-untyped-def]
    """Flows whose deadline has passed count as late now, answered or not; also notes the oldest age per class."""
    sv = st.servers
    st.times[env, :, OLDEST_S] = 0.0
    for server in range(sv.weight.shape[1]):
        for k in range(in_flight(sv, env, server)):
            slot = _slot_of(sv, env, server, k)
            flow_class = sv.flow_class[env, server, slot]
            age_s = end_s - sv.flow_arrival_s[env, server, slot]
            st.times[env, flow_class, OLDEST_S] = max(st.times[env, flow_class, OLDEST_S], age_s)
            if age_s > pr.deadline_s[flow_class] and not sv.flow_late[env, server, slot]:
                sv.flow_late[env, server, slot] = True
                st.counts[env, flow_class, LATE] += 1


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
    sv.busy_s[env] = 0.0
    sv.billed_s[env] = 0.0
    for server in range(weights.shape[0]):
        if sv.weight[env, server] != weights[server]:
            st.n_starts[env] += set_weight(pr.pool, sv, env, server, start_s, weights[server])
    while True:
        request_s, server_s = st.source.time_s[env], sv.next_s[env, 1]
        if min(request_s, server_s) > end_s:
            break
        if server_s <= request_s:
            _server_event(pr, st, env, earliest_server(sv, env), server_s, start_s, end_s)
            continue
        if st.source.is_request[env]:
            _arrive(pr, st, env, start_s)
        else:
            change_rate(pr.traffic, st.source, st.streams, env)
        draw_next(pr.traffic, st.source, st.streams, env, request_s)
    for server in range(weights.shape[0]):
        sync(pr.pool, sv, env, server, end_s)
    for flow_class in range(pr.deadline_s.shape[0]):
        st.times[env, flow_class, FLOW_SECONDS] += st.counts[env, flow_class, IN_FLIGHT] * pr.dt_s
    st.clock_s[env] = end_s
    _mark_overdue(pr, st, env, end_s)
    _measure(st, env, end_s)


@kernel
def advance(pr, st, weights):  # type: ignore[no-untyped-def]
    """Run every env for one step of `dt_s` under ``weights (n_envs, n_servers)``."""
    for env in range(weights.shape[0]):
        _advance_env(pr, st, env, weights[env])


@kernel
def reset(pr, st, mask):  # type: ignore[no-untyped-def]
    """Begin a new episode in the envs where ``mask (n_envs,)`` is set; their streams go on."""
    for env in range(mask.shape[0]):
        if not mask[env]:
            continue
        st.clock_s[env] = 0.0
        st.counts[env] = 0
        st.times[env] = 0.0
        st.n_starts[env] = 0
        st.histogram[env] = 0
        st.answered[env] = 0
        clear_dispatcher(st.dispatcher, env)
        clear_reservoir(st.reservoir, env)
        start_servers(pr.pool, st.servers, st.streams, env)
        start_source(pr.traffic, st.source, st.streams, env)
        _measure(st, env, 0.0)


@kernel
def settle(pr, st, mask):  # type: ignore[no-untyped-def]
    """At the end of an episode: flows in flight enter the latency figures at their age and count as late.

    They got no answer in time, and what waits at the end must not be free. They stay in flight for the conservation law.
    """
    for env in range(mask.shape[0]):
        for server in range(st.servers.weight.shape[1] if mask[env] else 0):
            for k in range(in_flight(st.servers, env, server)):
                slot = _slot_of(st.servers, env, server, k)
                flow_class = st.servers.flow_class[env, server, slot]
                age_s = st.clock_s[env] - st.servers.flow_arrival_s[env, server, slot]
                st.times[env, flow_class, LATENCY_S] += age_s
                st.histogram[env, flow_class, bin_index(age_s)] += 1
                if not st.servers.flow_late[env, server, slot]:
                    st.servers.flow_late[env, server, slot] = True
                    st.counts[env, flow_class, LATE] += 1


def n_on(state: State) -> IntArray:
    """Servers that are neither off nor failed, ``(n_envs,)``."""
    status = state.servers.status
    count: IntArray = ((status != OFF) & (status != FAILED)).sum(-1)
    return count


__all__ = ["NEVER", "Params", "State", "advance", "n_on", "new_state", "params", "reset", "settle"]
