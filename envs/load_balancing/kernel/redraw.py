"""Other futures of the same past: what has not happened yet is drawn anew, from streams that were begun anew.

Times to the next request, retry, stage of a regime, burst, failure and slow-down are exponential, so those that are left are
distributed as fresh ones. A recording goes on from another place of the same regime.
"""

from __future__ import annotations

from envs.core.jit import kernel
from envs.core.rng import FAILURE, exponential
from envs.load_balancing.kernel.arrivals.traffic import redraw_arrivals
from envs.load_balancing.kernel.retries import redraw_retries
from envs.load_balancing.kernel.servers.clock import schedule, sync
from envs.load_balancing.kernel.servers.state import FAILED, NEVER


@kernel
def _redraw_faults(params, servers, streams, env, now_s):
    stream = streams[env, FAILURE]
    for server in range(servers.present.shape[1]):
        sync(servers, env, server, now_s)
        if servers.fault_s[env, server] < NEVER:
            failed = servers.status[env, server] == FAILED
            servers.fault_s[env, server] = now_s + exponential(
                stream, params.repair_s if failed else 1.0 / params.failure_rate_hz
            )
        if servers.slow_s[env, server] < NEVER:
            slow = servers.slow[env, server] != 1.0
            servers.slow_s[env, server] = now_s + exponential(
                stream, params.slowdown_s if slow else 1.0 / params.slowdown_rate_hz
            )
        schedule(servers, env, server)


@kernel
def redraw(params, state):
    """Draw the futures of all envs anew."""
    for env in range(state.clock_s.shape[0]):
        redraw_arrivals(params.traffic, state.source, state.streams, env, state.clock_s[env])
        redraw_retries(params.retries, state.retries, state.streams, env, state.clock_s[env])
        _redraw_faults(params.pool, state.servers, state.streams, env, state.clock_s[env])
