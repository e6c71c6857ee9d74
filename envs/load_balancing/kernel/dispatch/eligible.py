"""Which servers take part."""

from __future__ import annotations

from envs.core.jit import inlined, kernel
from envs.core.rng import integer, uniform
from envs.load_balancing.kernel.balancers import balancer_of_backend
from envs.load_balancing.kernel.servers.state import BOOTING, has_room


@inlined
def eligible(servers, env, backend, server):
    """Whether a server takes new flows of a backend, as far as the dispatcher knows."""
    balancer = balancer_of_backend(servers, backend)
    weighted = servers.weight[env, backend, server] > 0.0 and not servers.known_down[env, balancer, server]
    return weighted and servers.status[env, server] != BOOTING and has_room(servers, env, server)


@inlined
def n_eligible(servers, env, backend):
    """Servers that take part."""
    n = 0
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            n += 1
    return n


@inlined
def nth_eligible(servers, env, backend, n):
    """The n-th server that takes part; -1 if there are fewer."""
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            if n == 0:
                return server
            n -= 1
    return -1


@inlined
def two_eligible(servers, stream, env, backend):
    """Two servers that take part, drawn at random; the second is -1 if there is but one, both are if there is none."""
    n = n_eligible(servers, env, backend)
    if n < 2:
        return nth_eligible(servers, env, backend, 0), -1
    first = integer(stream, n)
    second = (first + 1 + integer(stream, n - 1)) % n
    return nth_eligible(servers, env, backend, first), nth_eligible(servers, env, backend, second)


@inlined
def by_weight(servers, stream, env, backend):
    """A server that takes part, drawn with a probability proportional to its weight; -1 if there is none."""
    total = 0.0
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            total += servers.weight[env, backend, server]
    left = uniform(stream) * total
    last = -1
    for server in range(servers.weight.shape[2]):
        if eligible(servers, env, backend, server):
            last = server
            left -= servers.weight[env, backend, server]
            if left < 0.0:
                break
    return last


@kernel
def random_booting(servers, stream, env, backend):
    """A server that will take part once it has booted, drawn at random; -1 if there is none."""
    best, n_ties, balancer = -1, 0, balancer_of_backend(servers, backend)
    for server in range(servers.weight.shape[2]):
        booting = servers.status[env, server] == BOOTING and servers.weight[env, backend, server] > 0.0
        if booting and not servers.known_down[env, balancer, server] and has_room(servers, env, server):
            n_ties += 1
            if integer(stream, n_ties) == 0:
                best = server
    return best
