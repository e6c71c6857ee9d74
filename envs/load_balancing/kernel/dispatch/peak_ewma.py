"""Finagle's `PeakEwma`: of two servers at random, the lower peak-sensitive moving latency times ``pending + 1``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from envs.core.arrays import FloatArray
from envs.core.jit import inlined, kernel
from envs.core.validation import setting
from envs.load_balancing.kernel.balancers import flows_of_backend
from envs.load_balancing.kernel.dispatch.eligible import two_eligible
from envs.load_balancing.kernel.dispatch.rule import DispatchConfig, Rule

COLD_PENALTY = 1e9
"""Finagle's: the load of a server with requests pending that has never answered."""


@dataclass(frozen=True)
class PeakEwma(DispatchConfig):
    """Of two servers at random the one with the lower peak-sensitive latency times requests pending."""

    rule: Literal["peak_ewma"] = "peak_ewma"
    """name of the dispatch rule"""
    ewma_s: float = setting(10.0, gt=0)
    """time constant of the moving latency (Finagle's default)"""


class Peaks(NamedTuple):
    """Latencies as they were answered."""

    ewma_s: Annotated[FloatArray, "n_envs n_backends n_servers"]  # peak-sensitive latency
    ewma_at_s: Annotated[FloatArray, "n_envs n_backends n_servers"]  # instant of the last answer or reading


@inlined
def _clear(params, peaks, env):
    peaks.ewma_s[env] = 0.0
    peaks.ewma_at_s[env] = 0.0


@inlined
def _observe(params, peaks, env, backend, server, t, latency_s):
    """A latency above the moving one replaces it at once, a lower one pulls it down by the time that has passed."""
    moving_s = peaks.ewma_s[env, backend, server]
    if latency_s > moving_s:
        moving_s = latency_s
    else:
        keep = math.exp(-(t - peaks.ewma_at_s[env, backend, server]) / params.ewma_s)
        moving_s = moving_s * keep + latency_s * (1.0 - keep)
    peaks.ewma_s[env, backend, server] = moving_s
    peaks.ewma_at_s[env, backend, server] = t
    return moving_s


@inlined
def _load(params, peaks, servers, env, backend, server, t):
    """As Finagle reads it: reading is observing a latency of 0, so that the moving one decays in silence."""
    held = flows_of_backend(servers, env, backend, server)
    moving_s = _observe(params, peaks, env, backend, server, t, 0.0)
    return COLD_PENALTY + held if moving_s == 0.0 and held > 0 else moving_s * (held + 1.0)


@kernel
def _choose(params, peaks, servers, stream, env, backend, t):
    a, b = two_eligible(servers, stream, env, backend)
    if b < 0:
        return a
    return a if _load(params, peaks, servers, env, backend, a, t) <= _load(params, peaks, servers, env, backend, b, t) else b


@inlined
def _learn(params, peaks, env, backend, server, t, latency_s):
    _observe(params, peaks, env, backend, server, t, latency_s)


RULE = Rule(PeakEwma, _choose, memory=Peaks, clear=_clear, learn=_learn)
