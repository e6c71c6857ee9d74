"""Prequal (NSDI 2024): of the probes kept, the lowest latency among cold servers, else the least in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from envs.core.arrays import FloatArray, IntArray
from envs.core.jit import inlined, kernel
from envs.core.rng import integer
from envs.core.validation import setting
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import eligible, n_eligible, nth_eligible
from envs.load_balancing.kernel.dispatch.latency import average
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule


@dataclass(frozen=True)
class Prequal(DispatchConfig):
    """The best server among those probed of late."""

    rule: Literal["prequal"] = "prequal"
    """name of the dispatch rule"""
    ewma_s: float = setting(10.0, gt=0)
    """time constant of the latency that a probe reports, where the paper has a median of recent ones"""
    probe_pool: int = setting(16, ge=1, le=1024)
    """probes kept"""
    probe_age_s: float = setting(1.0, gt=0)
    """age at which a probe is dropped"""
    probes_per_flow: int = setting(3, ge=1, le=1024)
    """probes sent with every flow"""
    probe_quantile: float = setting(0.84, ge=0, le=1)
    """servers above this quantile of requests in flight are hot"""


class Probes(NamedTuple):
    """What probes have reported, oldest first, and what they report of each server."""

    ewma_s: Annotated[FloatArray, "n_envs n_backends n_servers"]  # moving mean of the latency
    ewma_at_s: Annotated[FloatArray, "n_envs n_backends n_servers"]  # instant of the last answer
    n: Annotated[IntArray, "n_envs n_backends"]
    server: Annotated[IntArray, "n_envs n_backends probe_pool"]
    in_flight: Annotated[IntArray, "n_envs n_backends probe_pool"]
    latency_s: Annotated[FloatArray, "n_envs n_backends probe_pool"]
    at_s: Annotated[FloatArray, "n_envs n_backends probe_pool"]


@inlined
def _clear(params, probes, env):
    probes.ewma_s[env] = 0.0
    probes.ewma_at_s[env] = 0.0
    probes.n[env] = 0


@inlined
def _drop(probes, env, backend, index):
    n = probes.n[env, backend] - 1
    for i in range(index, n):
        probes.server[env, backend, i] = probes.server[env, backend, i + 1]
        probes.in_flight[env, backend, i] = probes.in_flight[env, backend, i + 1]
        probes.latency_s[env, backend, i] = probes.latency_s[env, backend, i + 1]
        probes.at_s[env, backend, i] = probes.at_s[env, backend, i + 1]
    probes.n[env, backend] = n


@inlined
def _send(params, probes, servers, stream, env, backend, t):
    """Probe random servers; what they answer stands at once. A full pool gives up its oldest probe."""
    n = n_eligible(servers, env, backend)
    for _ in range(params.probes_per_flow if n > 0 else 0):
        if probes.n[env, backend] == probes.server.shape[2]:
            _drop(probes, env, backend, 0)
        server = nth_eligible(servers, env, backend, integer(stream, n))
        i = probes.n[env, backend]
        probes.server[env, backend, i] = server
        probes.in_flight[env, backend, i] = flows_of_backend(servers, env, backend, server)
        probes.latency_s[env, backend, i] = probes.ewma_s[env, backend, server]
        probes.at_s[env, backend, i] = t
        probes.n[env, backend] = i + 1


@inlined
def _best(params, probes, env, backend):
    """The probe to follow: among cold ones the lowest latency, when all are hot the fewest in flight; -1 when none."""
    n = probes.n[env, backend]
    if n == 0:
        return -1
    coldest, fewest = -1, 0
    for i in range(n):
        if probes.in_flight[env, backend, i] < probes.in_flight[env, backend, fewest]:
            fewest = i
        n_at_most = 0
        for k in range(n):
            n_at_most += probes.in_flight[env, backend, k] <= probes.in_flight[env, backend, i]
        cold = n_at_most <= params.probe_quantile * n
        if cold and (coldest < 0 or probes.latency_s[env, backend, i] < probes.latency_s[env, backend, coldest]):
            coldest = i
    return coldest if coldest >= 0 else fewest


@kernel
def _choose(params, probes, servers, stream, env, backend, t):
    for i in range(probes.n[env, backend] - 1, -1, -1):
        stale = t - probes.at_s[env, backend, i] > params.probe_age_s
        if stale or not eligible(servers, env, backend, probes.server[env, backend, i]):
            _drop(probes, env, backend, i)
    _send(params, probes, servers, stream, env, backend, t)
    chosen = _best(params, probes, env, backend)
    if chosen < 0:
        return -1
    server = probes.server[env, backend, chosen]
    _drop(probes, env, backend, chosen)
    for i in range(probes.n[env, backend]):
        if probes.server[env, backend, i] == server:
            probes.in_flight[env, backend, i] += 1
    return server


@inlined
def _learn(params, probes, env, backend, server, t, latency_s):
    average(probes.ewma_s, probes.ewma_at_s, params.ewma_s, env, backend, server, t, latency_s)


RULE = Rule(Prequal, _choose, memory=Probes, clear=_clear, learn=_learn)
