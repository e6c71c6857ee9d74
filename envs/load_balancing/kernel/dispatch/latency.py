"""A moving mean of the latency of every server, by time constant."""

from __future__ import annotations

import math

from envs.core.jit import inlined


@inlined
def average(ewma_s, ewma_at_s, time_constant_s, env, backend, server, t, latency_s):
    """Take an answer at ``t`` into the means ``ewma_s (n_envs, n_backends, n_servers)``, last changed at ``ewma_at_s``."""
    keep = math.exp(-(t - ewma_at_s[env, backend, server]) / time_constant_s)
    ewma_s[env, backend, server] = ewma_s[env, backend, server] * keep + latency_s * (1.0 - keep)
    ewma_at_s[env, backend, server] = t
