"""What happens to a server: starting, draining, booting, failing, recovering, slowing down."""

from __future__ import annotations

from envs.core.jit import inlined, kernel
from envs.core.rng import BALANCER, FAILURE, exponential, uniform
from envs.load_balancing.kernel.servers.clock import schedule, sync
from envs.load_balancing.kernel.servers.queue import empty
from envs.load_balancing.kernel.servers.state import BOOTING, FAILED, NEVER, OFF, ON, in_flight, is_wanted


@kernel
def set_weights(params, servers, env, server, t, weights):
    """Put ``weights (n_backends, n_servers)`` of a server in force. Returns 1 on a start.

    Without any it drains and, once empty, stops; with any it is started again.
    """
    sync(servers, env, server, t)
    wanted_before = is_wanted(servers, env, server)
    for backend in range(weights.shape[0]):
        servers.weight[env, backend, server] = weights[backend, server]
    wanted = is_wanted(servers, env, server)
    if wanted != wanted_before:
        servers.switched_s[env, server] = t
    status = servers.status[env, server]
    started = 0
    if wanted and status == OFF:
        started = 1
        servers.billed_until_s[env, server] = t + params.min_billed_s
        servers.status[env, server] = BOOTING if params.boot_s > 0.0 else ON
        servers.ready_s[env, server] = t + params.boot_s if params.boot_s > 0.0 else NEVER
    elif not wanted and status in (ON, BOOTING) and in_flight(servers, env, server) == 0:
        servers.status[env, server] = OFF
        servers.ready_s[env, server] = NEVER
    schedule(servers, env, server)
    return started


@kernel
def finish_boot(servers, env, server):
    """A synced server begins to serve."""
    servers.ready_s[env, server] = NEVER
    idle = not is_wanted(servers, env, server) and in_flight(servers, env, server) == 0
    servers.status[env, server] = OFF if idle else ON
    schedule(servers, env, server)


@inlined
def _expect_detection(params, balancers, servers, stream, env, server, now_s):
    """One balancer takes `detection_s`; of several that share requests each takes any time up to twice that."""
    n_balancers = servers.detection_s.shape[1]
    for balancer in range(n_balancers):
        factor = 1.0 if n_balancers == 1 or balancers.by_class else 2.0 * uniform(stream)
        servers.detection_s[env, balancer, server] = now_s + factor * params.detection_s


@kernel
def switch_fault(params, balancers, servers, streams, env, server):
    """A synced server fails and loses its flows, or recovers; faults keep their own clock, whatever the actions."""
    now_s = servers.fault_s[env, server]
    stream = streams[env, FAILURE]
    if servers.status[env, server] == FAILED:
        servers.status[env, server] = ON if is_wanted(servers, env, server) else OFF
        servers.fault_s[env, server] = now_s + exponential(stream, 1.0 / params.failure_rate_hz)
    else:
        empty(servers, env, server)
        servers.status[env, server] = FAILED
        servers.ready_s[env, server] = NEVER
        servers.billed_until_s[env, server] = now_s
        servers.fault_s[env, server] = now_s + exponential(stream, params.repair_s)
    _expect_detection(params, balancers, servers, streams[env, BALANCER], env, server, now_s)
    schedule(servers, env, server)


@kernel
def detect(servers, env, server, now_s):
    """Balancers learn the state of a server."""
    for balancer in range(servers.detection_s.shape[1]):
        if servers.detection_s[env, balancer, server] <= now_s:
            servers.known_down[env, balancer, server] = servers.status[env, server] == FAILED
            servers.detection_s[env, balancer, server] = NEVER
    schedule(servers, env, server)


@kernel
def switch_speed(params, servers, streams, env, server):
    """A synced server slows down or gets its speed back."""
    slowing = servers.slow[env, server] == 1.0
    mean_s = params.slowdown_s if slowing else 1.0 / params.slowdown_rate_hz
    servers.slow[env, server] = params.slowdown_factor if slowing else 1.0
    servers.slow_s[env, server] += exponential(streams[env, FAILURE], mean_s)
    schedule(servers, env, server)


@kernel
def start_servers(params, servers, streams, env):
    """Begin an episode: every server present on, empty, at full speed and with weight 1; an absent one known to be down."""
    stream = streams[env, FAILURE]
    for server in range(servers.present.shape[1]):
        present = servers.present[env, server]
        empty(servers, env, server)
        servers.status[env, server] = ON if present else OFF
        servers.weight[env, :, server] = 1.0 if present else 0.0
        servers.switched_s[env, server] = 0.0
        servers.known_down[env, :, server] = not present
        servers.slow[env, server] = 1.0
        servers.synced_s[env, server] = 0.0
        servers.busy_s[env, server] = 0.0
        servers.billed_s[env, server] = 0.0
        servers.billed_until_s[env, server] = 0.0
        servers.ready_s[env, server] = NEVER
        servers.detection_s[env, :, server] = NEVER
        failing, slowing = present and params.failure_rate_hz > 0.0, present and params.slowdown_rate_hz > 0.0
        servers.fault_s[env, server] = exponential(stream, 1.0 / params.failure_rate_hz) if failing else NEVER
        servers.slow_s[env, server] = exponential(stream, 1.0 / params.slowdown_rate_hz) if slowing else NEVER
        schedule(servers, env, server)
