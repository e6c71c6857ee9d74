"""What is measured of every server at an instant."""

from __future__ import annotations

from envs.core.jit import inlined
from envs.load_balancing.kernel.reservoir import measure
from envs.load_balancing.kernel.servers.state import in_flight


@inlined
def measure_servers(state, env, now_s):
    """Write the features of all servers, and the times since they were switched."""
    servers, features = state.servers, state.features
    for server in range(servers.present.shape[1]):
        features[env, server, 0] = in_flight(servers, env, server)
        measure(state.reservoir, env, server, now_s, features[env, server, 1:])
        state.since_switch_s[env, server] = now_s - servers.switched_s[env, server]
        state.still_billed_s[env, server] = max(servers.billed_until_s[env, server] - now_s, 0.0)
