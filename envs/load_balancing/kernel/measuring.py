"""What balancers measure: all that adds up, and every server at an instant."""

from __future__ import annotations

from envs.core.jit import inlined
from envs.load_balancing.kernel.accounts import clear_accounts
from envs.load_balancing.kernel.balancers import flows_of_balancer, view_of
from envs.load_balancing.kernel.recent import clear_recent
from envs.load_balancing.kernel.reservoir import clear_reservoir, measure


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
        for balancer in range(servers.known_down.shape[1]):
            view = view_of(servers, balancer, server)
            features[env, view, 0] = flows_of_balancer(servers, env, balancer, server)
            measure(state.reservoir, env, view, now_s, features[env, view, 1:])
        state.since_switch_s[env, server] = now_s - servers.switched_s[env, server]
        state.still_billed_s[env, server] = max(servers.billed_until_s[env, server] - now_s, 0.0)
