"""The clock of a server: what it has done by an instant, and which timer of which server is next."""

from __future__ import annotations

from envs.core.jit import inlined
from envs.load_balancing.kernel.servers.state import BOOTING, NEVER, ON


@inlined
def _rate(servers, env, server):
    """Speed of the virtual clock with at least one flow in service."""
    sharing = min(1.0, servers.cores[env, server] / servers.n_running[env, server])
    return servers.speed[env, server] * servers.slow[env, server] * sharing


@inlined
def sync(servers, env, server, t):
    """Bring virtual clock, use and bill of a server to ``t``."""
    elapsed = t - servers.synced_s[env, server]
    if elapsed <= 0.0:
        return
    status = servers.status[env, server]
    n = servers.n_running[env, server]
    if status == ON and n > 0:
        servers.virtual[env, server] += _rate(servers, env, server) * elapsed
        servers.busy_s[env, server] += elapsed * min(1.0, n / servers.cores[env, server])
    if status in (ON, BOOTING):
        servers.billed_s[env, server] += elapsed
    elif servers.billed_until_s[env, server] > servers.synced_s[env, server]:
        servers.billed_s[env, server] += min(t, servers.billed_until_s[env, server]) - servers.synced_s[env, server]
    servers.synced_s[env, server] = t


@inlined
def next_detection_s(servers, env, server):
    """When a balancer next learns the state of a server."""
    earliest = NEVER
    for balancer in range(servers.detection_s.shape[1]):
        earliest = min(earliest, servers.detection_s[env, balancer, server])
    return earliest


@inlined
def schedule(servers, env, server):
    """Set the departure timer of a synced server and enter its earliest timer in the tournament."""
    departure_s = NEVER
    if servers.status[env, server] == ON and servers.n_running[env, server] > 0:
        rate = _rate(servers, env, server)
        if rate > 0.0:
            left = max(servers.heap_finish[env, server, 0] - servers.virtual[env, server], 0.0)
            departure_s = servers.synced_s[env, server] + left / rate
    servers.departure_s[env, server] = departure_s
    earliest = min(departure_s, servers.ready_s[env, server], servers.fault_s[env, server])
    earliest = min(earliest, next_detection_s(servers, env, server), servers.slow_s[env, server])
    tree = servers.next_s[env]
    node = tree.shape[0] // 2 + server
    tree[node] = earliest
    while node > 1:
        node //= 2
        tree[node] = min(tree[2 * node], tree[2 * node + 1])


@inlined
def earliest_server(servers, env):
    """The server whose timer is next."""
    tree = servers.next_s[env]
    n_leaves = tree.shape[0] // 2
    node = 1
    while node < n_leaves:
        node = 2 * node if tree[2 * node] == tree[node] else 2 * node + 1
    return node - n_leaves
