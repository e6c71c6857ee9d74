"""The arithmetic of a meter: what a balancer says, added up by the simulator's own code.

The state is that of one simulated balancer. In place of events there are looks, which say how many requests every server
has, and requests that have ended.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from envs.core.arrays import BoolArray, FloatArray, IntArray
from envs.core.histogram import bin_index
from envs.core.jit import kernel
from envs.load_balancing.kernel.accounts import (
    ARRIVED,
    COMPLETED,
    FLOW_SECONDS,
    IN_FLIGHT,
    JAIN,
    LATE,
    LATENCY_S,
    LOST,
    REJECTED,
    SERVERS_ON,
    STEPS,
    UTILISATION,
    Prices,
    close_step,
    open_step,
    price_servers,
)
from envs.load_balancing.kernel.flows import count_answer
from envs.load_balancing.kernel.measuring import clear_measured, measure_servers
from envs.load_balancing.kernel.recent import Spans, take_in_step
from envs.load_balancing.kernel.reservoir import sample
from envs.load_balancing.kernel.servers.clock import sync
from envs.load_balancing.kernel.servers.life import set_weights
from envs.load_balancing.kernel.servers.queue import empty
from envs.load_balancing.kernel.servers.state import BOOTING, FAILED, FCFS, NEVER, OFF, ON, in_flight, is_wanted

ANSWERED, UNANSWERED, TURNED_AWAY = range(3)
"""How a request ends: with an answer, lost on a server, or without a server."""
ENV = 0
"""There is one."""


class Numbers(NamedTuple):
    """Settings of a step."""

    pool: Any  # the numbers of the pool's settings
    prices: Prices
    spans: Spans
    samples: bool  # whether times of requests are sampled
    n_steps: float  # how many steps the time is that has passed


class Look(NamedTuple):
    """What a balancer says of an instant."""

    n_flows: IntArray  # (C, S) requests of each class on each server, those that wait for it included
    n_waiting: IntArray  # (C,) requests that wait for any server
    down: BoolArray  # (S,) servers that get no requests, whatever their weights


class Ended(NamedTuple):
    """Requests that have ended, in their order."""

    ended_s: FloatArray  # (n,)
    flow_class: IntArray  # (n,)
    server: IntArray  # (n,) -1 for none
    outcome: IntArray  # (n,) ANSWERED, UNANSWERED or TURNED_AWAY
    latency_s: FloatArray  # (n,) from arrival to end
    duration_s: FloatArray  # (n,) from the beginning of service to the end


@kernel
def clear(numbers, state):
    """Begin: nothing was done yet, and all servers are on."""
    servers = state.servers
    clear_measured(numbers.prices, state, ENV)
    for server in range(servers.present.shape[1]):
        empty(servers, ENV, server)
        servers.status[ENV, server] = ON
        servers.weight[ENV, :, server] = 1.0
        servers.known_down[ENV, 0, server] = False
        servers.slow[ENV, server] = 1.0
        for part in (servers.switched_s, servers.synced_s, servers.busy_s, servers.billed_s, servers.billed_until_s):
            part[ENV, server] = 0.0
        for timer in (servers.ready_s, servers.fault_s, servers.slow_s):
            timer[ENV, server] = NEVER
        servers.detection_s[ENV, 0, server] = NEVER
    measure_servers(state, ENV, 0.0)
    open_step(state.step, state.counts, state.times, ENV)


@kernel
def put_in_force(numbers, state, now_s, weights):
    """Weights ``(n_backends, n_servers)`` hold from now on."""
    servers = state.servers
    for server in range(weights.shape[1]):
        changed = False
        for backend in range(weights.shape[0]):
            changed |= servers.weight[ENV, backend, server] != weights[backend, server]
        if changed:
            state.n_starts[ENV] += set_weights(numbers.pool, servers, ENV, server, now_s, weights)


@kernel
def look(numbers, state, now_s, n_flows, n_waiting, down):
    """Take in a :class:`Look`: what it says holds from now on, and what the one before said held until now."""
    servers, counts, times = state.servers, state.counts, state.times
    elapsed_s = max(now_s - state.clock_s[ENV], 0.0)
    for flow_class in range(counts.shape[1]):
        times[ENV, flow_class, FLOW_SECONDS] += counts[ENV, flow_class, IN_FLIGHT] * elapsed_s
        n = n_waiting[flow_class]
        for server in range(n_flows.shape[1]):
            n += n_flows[flow_class, server]
        counts[ENV, flow_class, IN_FLIGHT] = n
    state.clock_s[ENV] = max(now_s, state.clock_s[ENV])
    for server in range(n_flows.shape[1]):
        sync(servers, ENV, server, now_s)
        total = 0
        for flow_class in range(n_flows.shape[0]):
            servers.n_flows[ENV, flow_class, server] = n_flows[flow_class, server]
            total += n_flows[flow_class, server]
        waits = numbers.pool.service == FCFS
        servers.n_running[ENV, server] = min(total, servers.cores[ENV, server]) if waits else total
        servers.n_waiting[ENV, server] = total - servers.n_running[ENV, server]
        servers.known_down[ENV, 0, server] = down[server]
        _move_on(servers, server, now_s, down[server])


@kernel
def _move_on(servers, server, now_s, is_down):
    status = servers.status[ENV, server]
    if is_down:
        if status != FAILED:
            servers.billed_until_s[ENV, server] = min(servers.billed_until_s[ENV, server], now_s)
            servers.ready_s[ENV, server] = NEVER
        servers.status[ENV, server] = FAILED
        return
    if status == FAILED:
        status = ON
    if status == BOOTING and servers.ready_s[ENV, server] <= now_s:
        status = ON
        servers.ready_s[ENV, server] = NEVER
    if not is_wanted(servers, ENV, server) and in_flight(servers, ENV, server) == 0:
        status = OFF
        servers.ready_s[ENV, server] = NEVER
    servers.status[ENV, server] = status


@kernel
def take_in(numbers, state, ended):
    """Count requests that have ended, and sample their times if those are observed."""
    counts, times = state.counts, state.times
    for i in range(ended.flow_class.shape[0]):
        flow_class, server = ended.flow_class[i], ended.server[i]
        if ended.outcome[i] != ANSWERED:
            counts[ENV, flow_class, LATE] += 1
            counts[ENV, flow_class, LOST if ended.outcome[i] == UNANSWERED else REJECTED] += 1
            continue
        latency_s = ended.latency_s[i]
        late = latency_s > state.deadline_s[ENV, flow_class]
        in_flight_before = counts[ENV, flow_class, IN_FLIGHT]
        count_answer(counts, times, state.histogram, ENV, flow_class, latency_s, 0.0, late, False)
        counts[ENV, flow_class, IN_FLIGHT] = in_flight_before  # which looks say
        if server >= 0:
            state.answered[ENV, server] += 1
            if numbers.samples:
                sample(state.reservoir, state.streams, ENV, server, ended.ended_s[i], latency_s, ended.duration_s[i])


@kernel
def close(numbers, state, now_s):
    """End a step after a look at ``now_s``, and begin the next one.

    A request has arrived once it has ended or is in flight. A log that lags behind would have some arrive twice: what a look
    does not show any more is in flight until it is logged.
    """
    servers, counts = state.servers, state.counts
    for flow_class in range(counts.shape[1]):
        count = counts[ENV, flow_class]
        ended = count[COMPLETED] + count[LOST] + count[REJECTED]
        count[ARRIVED] = max(count[ARRIVED], ended + count[IN_FLIGHT])
        count[IN_FLIGHT] = count[ARRIVED] - ended
    sums, more = state.sums, numbers.n_steps - 1.0  # a step that took longer counts as so many
    total = sums[ENV, 0]
    utilisation, jain, servers_on = total[UTILISATION], total[JAIN], total[SERVERS_ON]
    price_servers(numbers.prices, servers, state.step, sums, ENV)
    total[UTILISATION] += more * (total[UTILISATION] - utilisation)
    total[JAIN] += more * (total[JAIN] - jain)
    total[SERVERS_ON] += more * (total[SERVERS_ON] - servers_on)
    close_step(numbers.prices, state.step, counts, state.times, state.sums, ENV)
    total[STEPS] += more
    take_in_step(numbers.spans, state.recent, counts, state.times, ENV)
    measure_servers(state, ENV, now_s)
    for server in range(servers.present.shape[1]):
        servers.busy_s[ENV, server] = 0.0
        servers.billed_s[ENV, server] = 0.0


@kernel
def settle(state, ended):
    """The end of an episode, as in the simulator: requests in flight enter the latency figures at their age, and are late.

    How old they were is known once they have ended; they stay in flight for the conservation law.
    """
    for i in range(ended.flow_class.shape[0]):
        flow_class = ended.flow_class[i]
        age_s = ended.latency_s[i] - (ended.ended_s[i] - state.clock_s[ENV])
        if age_s > 0.0:  # else it came later
            state.counts[ENV, flow_class, LATE] += 1
            state.times[ENV, flow_class, LATENCY_S] += age_s
            state.histogram[ENV, flow_class, bin_index(age_s)] += 1


@kernel
def begin(state):
    """Begin a step: note where the totals stand."""
    open_step(state.step, state.counts, state.times, ENV)
