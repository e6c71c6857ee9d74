"""What is measured of a balancer: all that adds up, and every server at an instant."""

from __future__ import annotations

from envs.core.jit import inlined
from envs.load_balancing.kernel.accounts import clear_accounts
from envs.load_balancing.kernel.recent import clear_recent
from envs.load_balancing.kernel.reservoir import clear_reservoir, measure
from envs.load_balancing.kernel.servers.state import in_flight


@inlined
def clear_measured(prices, state, env):
    """Forget all that was measured of an env, whose clock begins at 0."""
    state.clock_s[env] = 0.0
    state.counts[env] = 0
    state.times[env] = 0.0
    state.n_starts[env] = 0
    state.histogram[env] = 0
    state.answered[env] = 0
    clear_accounts(prices, state.step, state.sums, state.source.mean_rate_hz, env)
    clear_reservoir(state.reservoir, env)
    clear_recent(state.recent, env)


@inlined
def measure_servers(state, env, now_s):
    """Write the features of all servers, and the times since they were switched."""
    servers, features = state.servers, state.features
    for server in range(servers.present.shape[1]):
        features[env, server, 0] = in_flight(servers, env, server)
        measure(state.reservoir, env, server, now_s, features[env, server, 1:])
        state.since_switch_s[env, server] = now_s - servers.switched_s[env, server]
        state.still_billed_s[env, server] = max(servers.billed_until_s[env, server] - now_s, 0.0)
