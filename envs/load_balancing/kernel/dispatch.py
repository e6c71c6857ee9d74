"""Seven rules by which a flow finds its server, given the weights. Ties are broken at random, never by index.

============== ======================================================================================= =================
rule           choice                                                                                  source
============== ======================================================================================= =================
sed            argmin ``(n + 1) / w``, shortest expected delay                                         MARLLB `node.c`
leastconn      the same, but an idle server counts 0 whatever its weight                               HAProxy `lb_fwlc.c`
wrr            smooth weighted round robin: ``cw += w``, largest ``cw``, minus ``sum(w)``              nginx
weighted_random probability proportional to ``w`` (WCMP)                                               ECMP with weights
power_of_two   two at random, the one with fewer in flight per weight                                  Mitzenmacher 2001
peak_ewma      two at random, the lower peak-sensitive moving latency times ``pending + 1``            Finagle `PeakEwma`
prequal        of the probes kept, the lowest latency among cold servers, else the fewest in flight    Prequal, NSDI 2024
============== ======================================================================================= =================

A server takes part when its weight is above 0, it has booted, and it is not known to be down. While none is, flows wait
at a booting one; when there is none of those either, they are rejected.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined, kernel
from envs.core.rng import DISPATCH, integer, uniform
from envs.load_balancing.config import DISPATCH_RULES, Dispatch
from envs.load_balancing.kernel.servers import BOOTING, in_flight

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SED, LEASTCONN, WRR, WEIGHTED_RANDOM, POWER_OF_TWO, PEAK_EWMA, PREQUAL = range(len(DISPATCH_RULES))
COLD_PENALTY = 1e9
"""Finagle's: the load of a server with requests pending that has never answered."""


class Rule(NamedTuple):
    """Settings of the dispatcher as the kernel reads them."""

    rule: int
    ewma_s: float
    probe_age_s: float
    probes_per_flow: int
    probe_quantile: float


class Dispatcher(NamedTuple):
    """What a dispatcher remembers. P is the size of the probe pool."""

    delay: FloatArray  # (n_envs, 2 * n_leaves) tournament of the least expected delay; node 1 is the least of all
    n_least: IntArray  # (n_envs, 2 * n_leaves) servers under a node that tie at it
    current: FloatArray  # (n_envs, n_servers) of smooth weighted round robin
    ewma_s: FloatArray  # (n_envs, n_servers) peak-sensitive latency
    ewma_at_s: FloatArray  # (n_envs, n_servers) instant of the last answer
    n_probes: IntArray  # (n_envs,)
    probe_server: IntArray  # (n_envs, P) oldest first
    probe_in_flight: IntArray  # (n_envs, P)
    probe_latency_s: FloatArray  # (n_envs, P)
    probe_at_s: FloatArray  # (n_envs, P)


def rule(config: Dispatch) -> Rule:
    """The kernel's view of the dispatch settings."""
    return Rule(
        rule=DISPATCH_RULES.index(config.rule),
        ewma_s=config.ewma_s,
        probe_age_s=config.probe_age_s,
        probes_per_flow=config.probes_per_flow,
        probe_quantile=config.probe_quantile,
    )


def new_dispatcher(n_envs: int, n_servers: int, probe_pool: int) -> Dispatcher:
    """A dispatcher that has seen nothing."""
    n_leaves = 1 << (n_servers - 1).bit_length()
    return Dispatcher(
        delay=np.full((n_envs, 2 * n_leaves), np.inf),
        n_least=np.zeros((n_envs, 2 * n_leaves), np.int64),
        current=np.zeros((n_envs, n_servers)),
        ewma_s=np.zeros((n_envs, n_servers)),
        ewma_at_s=np.zeros((n_envs, n_servers)),
        n_probes=np.zeros(n_envs, np.int64),
        probe_server=np.zeros((n_envs, probe_pool), np.int64),
        probe_in_flight=np.zeros((n_envs, probe_pool), np.int64),
        probe_latency_s=np.zeros((n_envs, probe_pool)),
        probe_at_s=np.zeros((n_envs, probe_pool)),
    )


@kernel
def clear_dispatcher(dp, env):  # type: ignore[no-untyped-def]
    """Forget everything about an env."""
    dp.current[env] = 0.0
    dp.ewma_s[env] = 0.0
    dp.ewma_at_s[env] = 0.0
    dp.n_probes[env] = 0


@inlined
def eligible(sv, env, server):  # type: ignore[no-untyped-def]
    """Whether a server takes new flows, as far as the dispatcher knows."""
    weighted = sv.weight[env, server] > 0.0 and not sv.known_down[env, server]
    return weighted and sv.status[env, server] != BOOTING


@inlined
def _expected_delay(rl, sv, env, server):  # type: ignore[no-untyped-def]
    held = in_flight(sv, env, server)
    if rl.rule == LEASTCONN and held == 0:
        return 0.0
    return (held + 1.0) / sv.weight[env, server]


@inlined
def rank(rl, sv, dp, env, server):  # type: ignore[no-untyped-def]
    """Enter what has changed about a server in the tournament, for the rules that hold one."""
    if rl.rule != SED and rl.rule != LEASTCONN:
        return
    delay, n_least = dp.delay[env], dp.n_least[env]
    node = delay.shape[0] // 2 + server
    takes_part = eligible(sv, env, server)
    delay[node] = _expected_delay(rl, sv, env, server) if takes_part else np.inf
    n_least[node] = 1 if takes_part else 0
    while node > 1:
        node //= 2
        left, right = delay[2 * node], delay[2 * node + 1]
        delay[node] = min(left, right)
        n_least[node] = (n_least[2 * node] if left <= right else 0) + (n_least[2 * node + 1] if right <= left else 0)


@inlined
def _least_delay(dp, stream, env):  # type: ignore[no-untyped-def]
    """One of the servers that tie at the least delay, each as likely; -1 when none takes part."""
    delay, n_least = dp.delay[env], dp.n_least[env]
    if n_least[1] == 0:
        return -1
    left_out = integer(stream, n_least[1]) if n_least[1] > 1 else 0
    node, n_leaves = 1, delay.shape[0] // 2
    while node < n_leaves:
        node *= 2
        n_left = n_least[node] if delay[node] <= delay[node + 1] else 0
        if left_out >= n_left:
            left_out -= n_left
            node += 1
    return node - n_leaves


@kernel
def _smooth_round_robin(sv, dp, stream, env):  # type: ignore[no-untyped-def]
    best, largest, total, n_ties = -1, -np.inf, 0.0, 0
    for server in range(sv.weight.shape[1]):
        if not eligible(sv, env, server):
            continue
        weight = sv.weight[env, server]
        total += weight
        dp.current[env, server] += weight
        if dp.current[env, server] > largest:
            best, largest, n_ties = server, dp.current[env, server], 1
        elif dp.current[env, server] == largest:
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    if best >= 0:
        dp.current[env, best] -= total
    return best


@kernel
def _weighted_draw(sv, stream, env):  # type: ignore[no-untyped-def]
    total = 0.0
    for server in range(sv.weight.shape[1]):
        if eligible(sv, env, server):
            total += sv.weight[env, server]
    left = uniform(stream) * total
    last = -1
    for server in range(sv.weight.shape[1]):
        if eligible(sv, env, server):
            last = server
            left -= sv.weight[env, server]
            if left < 0.0:
                break
    return last


@inlined
def _nth_eligible(sv, env, n):  # type: ignore[no-untyped-def]
    for server in range(sv.weight.shape[1]):
        if eligible(sv, env, server):
            if n == 0:
                return server
            n -= 1
    return -1


@inlined
def _n_eligible(sv, env):  # type: ignore[no-untyped-def]
    n = 0
    for server in range(sv.weight.shape[1]):
        if eligible(sv, env, server):
            n += 1
    return n


@inlined
def _ewma_now(rl, dp, env, server, t):  # type: ignore[no-untyped-def]
    return dp.ewma_s[env, server] * math.exp(-(t - dp.ewma_at_s[env, server]) / rl.ewma_s)


@inlined
def _pair_score(rl, sv, dp, env, server, t):  # type: ignore[no-untyped-def]
    held = in_flight(sv, env, server)
    if rl.rule == POWER_OF_TWO:
        return (held + 1.0) / sv.weight[env, server]
    cost = _ewma_now(rl, dp, env, server, t)
    if cost == 0.0 and held > 0:
        return COLD_PENALTY + held
    return cost * (held + 1.0)


@kernel
def _better_of_two(rl, sv, dp, stream, env, t):  # type: ignore[no-untyped-def]
    n = _n_eligible(sv, env)
    if n < 2:
        return _nth_eligible(sv, env, 0)
    first = integer(stream, n)
    second = (first + 1 + integer(stream, n - 1)) % n
    a, b = _nth_eligible(sv, env, first), _nth_eligible(sv, env, second)
    return a if _pair_score(rl, sv, dp, env, a, t) <= _pair_score(rl, sv, dp, env, b, t) else b


@inlined
def _drop_probe(dp, env, index):  # type: ignore[no-untyped-def]
    n = dp.n_probes[env] - 1
    for i in range(index, n):
        dp.probe_server[env, i] = dp.probe_server[env, i + 1]
        dp.probe_in_flight[env, i] = dp.probe_in_flight[env, i + 1]
        dp.probe_latency_s[env, i] = dp.probe_latency_s[env, i + 1]
        dp.probe_at_s[env, i] = dp.probe_at_s[env, i + 1]
    dp.n_probes[env] = n


@inlined
def _send_probes(rl, sv, dp, stream, env, t):  # type: ignore[no-untyped-def]
    """Probe random servers; what they answer stands at once. A full pool gives up its oldest probe."""
    n = _n_eligible(sv, env)
    for _ in range(rl.probes_per_flow if n > 0 else 0):
        if dp.n_probes[env] == dp.probe_server.shape[1]:
            _drop_probe(dp, env, 0)
        server = _nth_eligible(sv, env, integer(stream, n))
        i = dp.n_probes[env]
        dp.probe_server[env, i] = server
        dp.probe_in_flight[env, i] = in_flight(sv, env, server)
        dp.probe_latency_s[env, i] = dp.ewma_s[env, server]
        dp.probe_at_s[env, i] = t
        dp.n_probes[env] = i + 1


@inlined
def _hot_cold_probe(rl, dp, env):  # type: ignore[no-untyped-def]
    """The probe to follow: among cold ones the lowest latency, when all are hot the fewest in flight; -1 when none."""
    n = dp.n_probes[env]
    if n == 0:
        return -1
    coldest, fewest = -1, 0
    for i in range(n):
        if dp.probe_in_flight[env, i] < dp.probe_in_flight[env, fewest]:
            fewest = i
        n_at_most = 0
        for k in range(n):
            n_at_most += dp.probe_in_flight[env, k] <= dp.probe_in_flight[env, i]
        cold = n_at_most <= rl.probe_quantile * n
        if cold and (coldest < 0 or dp.probe_latency_s[env, i] < dp.probe_latency_s[env, coldest]):
            coldest = i
    return coldest if coldest >= 0 else fewest


@kernel
def _prequal(rl, sv, dp, stream, env, t):  # type: ignore[no-untyped-def]
    for i in range(dp.n_probes[env] - 1, -1, -1):
        stale = t - dp.probe_at_s[env, i] > rl.probe_age_s
        if stale or not eligible(sv, env, dp.probe_server[env, i]):
            _drop_probe(dp, env, i)
    _send_probes(rl, sv, dp, stream, env, t)
    chosen = _hot_cold_probe(rl, dp, env)
    if chosen < 0:
        return -1
    server = dp.probe_server[env, chosen]
    _drop_probe(dp, env, chosen)
    for i in range(dp.n_probes[env]):
        if dp.probe_server[env, i] == server:
            dp.probe_in_flight[env, i] += 1
    return server


@kernel
def _random_booting(sv, stream, env):  # type: ignore[no-untyped-def]
    best, n_ties = -1, 0
    for server in range(sv.weight.shape[1]):
        if sv.status[env, server] == BOOTING and sv.weight[env, server] > 0.0 and not sv.known_down[env, server]:
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    return best


@inlined
def choose(rl, sv, dp, streams, env, t):  # type: ignore[no-untyped-def]
    """The server of a flow that arrives at ``t``, or -1 when no server takes it."""
    stream = streams[env, DISPATCH]
    if rl.rule == SED or rl.rule == LEASTCONN:
        server = _least_delay(dp, stream, env)
    elif rl.rule == WRR:
        server = _smooth_round_robin(sv, dp, stream, env)
    elif rl.rule == WEIGHTED_RANDOM:
        server = _weighted_draw(sv, stream, env)
    elif rl.rule == PREQUAL:
        server = _prequal(rl, sv, dp, stream, env, t)
    else:
        server = _better_of_two(rl, sv, dp, stream, env, t)
    return server if server >= 0 else _random_booting(sv, stream, env)


@inlined
def learn(rl, dp, env, server, t, latency_s):  # type: ignore[no-untyped-def]
    """Take in an answer: a latency above the moving one replaces it, a lower one pulls it down (Finagle's Peak-EWMA).

    Prequal reads the plain moving average, the paper's median of recent latencies being a memory of its own.
    """
    if rl.rule != PEAK_EWMA and rl.rule != PREQUAL:
        return
    keep = math.exp(-(t - dp.ewma_at_s[env, server]) / rl.ewma_s)
    average = dp.ewma_s[env, server]
    if rl.rule == PEAK_EWMA and latency_s > average:
        dp.ewma_s[env, server] = latency_s
    else:
        dp.ewma_s[env, server] = average * keep + latency_s * (1.0 - keep)
    dp.ewma_at_s[env, server] = t
