"""What is compiled for benchmarks alone: the bare event loop, and the answers of an interval as a balancer takes them in."""

from __future__ import annotations

from envs.core.jit import inlined, kernel
from envs.core.rng import ARRIVALS, DISPATCH, exponential, integer
from envs.load_balancing.kernel.accounts import ARRIVED, IN_FLIGHT, STEPS
from envs.load_balancing.kernel.flows import count_answer
from envs.load_balancing.kernel.reservoir import measure, sample


@inlined
def _push(heap, n, key):
    i = n
    while i > 0 and heap[(i - 1) // 2] > key:
        heap[i] = heap[(i - 1) // 2]
        i = (i - 1) // 2
    heap[i] = key


@inlined
def _pop(heap, n):
    key, i = heap[n - 1], 0
    while 2 * i + 1 < n - 1:
        child = 2 * i + 1
        if child + 1 < n - 1 and heap[child + 1] < heap[child]:
            child += 1
        if key <= heap[child]:
            break
        heap[i] = heap[child]
        i = child
    heap[i] = key


@inlined
def _shortest(n_held, stream):
    best, n_ties = 0, 1
    for server in range(1, n_held.shape[0]):
        if n_held[server] < n_held[best]:
            best, n_ties = server, 1
        elif n_held[server] == n_held[best]:
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    return best


@kernel
def bare_loop(n_workers, rate_hz, mean_s, horizon_s, all_streams, ends, free_s, n_held, out):
    """First come first served needs no queue: a flow starts when the first of its server's workers is free."""
    for env in range(out.shape[0]):
        t, n_flows, latency_s, stream = 0.0, 0, 0.0, all_streams[env]
        n_held[:] = 0
        free_s[:] = 0.0
        while True:
            t += exponential(stream[ARRIVALS], 1.0 / rate_hz)
            if t > horizon_s:
                break
            for server in range(n_held.shape[0]):
                while n_held[server] > 0 and ends[server, 0] <= t:
                    _pop(ends[server], n_held[server])
                    n_held[server] -= 1
            server = _shortest(n_held, stream[DISPATCH])
            worker = 0
            for other in range(1, n_workers):
                if free_s[server, other] < free_s[server, worker]:
                    worker = other
            end_s = max(t, free_s[server, worker]) + exponential(stream[ARRIVALS], mean_s)
            free_s[server, worker] = end_s
            _push(ends[server], n_held[server], end_s)
            n_held[server] += 1
            if end_s <= horizon_s:
                n_flows += 1
                latency_s += end_s - t
        out[env, 0], out[env, 1] = n_flows, latency_s


@kernel
def take_in(reservoir, streams, counts, times, histogram, sums, features, servers, latency_s, t):
    """The answers ``(n,)`` of one interval that ends at ``t`` into reservoir and totals of env 0, and its features read."""
    for i in range(servers.shape[0]):
        sample(reservoir, streams, 0, servers[i], t, latency_s[i], latency_s[i])
        counts[0, 0, ARRIVED] += 1
        counts[0, 0, IN_FLIGHT] += 1
        count_answer(counts, times, histogram, 0, 0, latency_s[i], latency_s[i], False, False)
    sums[0, 0, STEPS] += 1.0
    for server in range(features.shape[1]):
        features[0, server, 0] = 1.0
        measure(reservoir, 0, server, t, features[0, server, 1:])
