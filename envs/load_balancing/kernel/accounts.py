"""What a step adds up: figures of its own, for the reward terms, and the sums that window statistics are made of."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from envs.core.arrays import FloatArray
from envs.core.jit import inlined
from envs.load_balancing.kernel.servers.state import FAILED, OFF

CLASS_COUNTS: tuple[str, ...] = ("arrived", "completed", "lost", "rejected", "on_time", "late", "in_flight", "retried")
ARRIVED, COMPLETED, LOST, REJECTED, ON_TIME, LATE, IN_FLIGHT, RETRIED = range(len(CLASS_COUNTS))
CLASS_TIMES: tuple[str, ...] = ("latency_s", "flow_seconds")
LATENCY_S, FLOW_SECONDS = range(len(CLASS_TIMES))
STEP_SUMS: tuple[str, ...] = ("steps", "arrived_squared", "cost_usd", "utilisation", "jain", "servers_on")
STEPS, ARRIVED_SQUARED, COST_USD, UTILISATION, JAIN, SERVERS_ON = range(len(STEP_SUMS))

ARRIVALS_MEMORY_S = 5.0
"""Time constant of the moving mean of arrivals that the latency term is divided by."""
MIN_ARRIVALS_PER_STEP = 0.5
_TINY = 1e-12


class Prices(NamedTuple):
    """Settings of the accounts as the kernel reads them."""

    dt_s: float
    idle_share: float
    keep: float  # share of the moving mean of arrivals that a step keeps
    share: FloatArray  # (n_balancers,) of the cost that each pays


def prices(dt_s: float, idle_share: float, share: FloatArray) -> Prices:
    """The kernel's view of what time costs, and of who pays which ``share (n_balancers,)`` of it."""
    return Prices(float(dt_s), float(idle_share), math.exp(-dt_s / ARRIVALS_MEMORY_S), share)


class Step(NamedTuple):
    """What the last step did. Written anew every step, but for one sum: copy what is to be kept."""

    flow_seconds: Annotated[FloatArray, "n_envs n_lanes"]  # time spent in the system by all flows
    unanswered: Annotated[FloatArray, "n_envs n_lanes"]  # lost and rejected
    late: Annotated[FloatArray, "n_envs n_lanes"]  # past their deadline, or unanswered
    arrived: Annotated[FloatArray, "n_envs n_balancers"]
    arrivals_per_step: Annotated[FloatArray, "n_envs n_balancers", 1.0]  # moving mean, this step included
    all_arrived_squared: Annotated[FloatArray, "n_envs"]  # of all balancers together, over the steps since the reset
    utilisation: Annotated[FloatArray, "n_envs n_servers"]  # share of the cores in use
    cost_usd: Annotated[FloatArray, "n_envs n_balancers"]  # what each pays


@inlined
def clear_accounts(params, step, sums, mean_rate_hz, env):
    """Begin an episode in which nothing was done yet, with the arrivals to expect of it."""
    sums[env] = 0.0
    for part in (step.flow_seconds, step.unanswered, step.late, step.utilisation):
        part[env] = 0.0
    step.arrived[env] = 0.0
    step.cost_usd[env] = 0.0
    step.all_arrived_squared[env] = 0.0
    for balancer in range(params.share.shape[0]):
        expected = mean_rate_hz[env] * params.share[balancer] * params.dt_s
        step.arrivals_per_step[env, balancer] = max(expected, MIN_ARRIVALS_PER_STEP)


@inlined
def open_step(step, counts, times, env):
    """Note where the totals ``counts (n_envs, n_lanes, n_counts)`` and ``times (n_envs, n_lanes, n_times)`` stand."""
    step.arrived[env] = 0.0
    n_classes = step.late.shape[1] // step.arrived.shape[1]
    for lane in range(step.late.shape[1]):
        count = counts[env, lane]
        step.flow_seconds[env, lane] = -times[env, lane, FLOW_SECONDS]
        step.unanswered[env, lane] = -(count[LOST] + count[REJECTED])
        step.late[env, lane] = -count[LATE]
        step.arrived[env, lane // n_classes] -= count[ARRIVED]


@inlined
def close_step(params, step, counts, times, sums, env):
    """Take the differences and add to ``sums (n_envs, n_balancers, n_sums)``; the servers are priced already."""
    n_classes = step.late.shape[1] // step.arrived.shape[1]
    for lane in range(step.late.shape[1]):
        count = counts[env, lane]
        step.flow_seconds[env, lane] += times[env, lane, FLOW_SECONDS]
        step.unanswered[env, lane] += count[LOST] + count[REJECTED]
        step.late[env, lane] += count[LATE]
        step.arrived[env, lane // n_classes] += count[ARRIVED]
    all_arrived = 0.0
    for balancer in range(step.arrived.shape[1]):
        arrived = step.arrived[env, balancer]
        all_arrived += arrived
        moving = params.keep * step.arrivals_per_step[env, balancer] + (1.0 - params.keep) * arrived
        step.arrivals_per_step[env, balancer] = max(moving, MIN_ARRIVALS_PER_STEP)
        sums[env, balancer, STEPS] += 1.0
        sums[env, balancer, ARRIVED_SQUARED] += arrived**2
        sums[env, balancer, COST_USD] += step.cost_usd[env, balancer]
    step.all_arrived_squared[env] += all_arrived**2


@inlined
def price_servers(params, servers, step, sums, env):
    """What the servers cost in the step, and how they were used; each balancer pays its share."""
    cost_usd, used, whole, n_on = 0.0, 0.0, 0.0, 0
    for server in range(servers.present.shape[1]):
        busy_s, billed_s = servers.busy_s[env, server], servers.billed_s[env, server]
        utilisation = busy_s / params.dt_s
        step.utilisation[env, server] = utilisation
        use_s = params.idle_share * billed_s + (1.0 - params.idle_share) * min(busy_s, billed_s)
        cost_usd += use_s * (servers.price_usd_per_h[env, server] / 3600.0)
        used += utilisation * servers.capacity[env, server]
        whole += servers.capacity[env, server]
        n_on += servers.status[env, server] != OFF and servers.status[env, server] != FAILED
    for balancer in range(params.share.shape[0]):
        step.cost_usd[env, balancer] = params.share[balancer] * cost_usd
        sums[env, balancer, UTILISATION] += used / whole
        sums[env, balancer, JAIN] += _jain(servers, step, env, balancer)
        sums[env, balancer, SERVERS_ON] += n_on


@inlined
def _jain(servers, step, env, balancer):
    """Jain's index of the use of the servers that a balancer does not know to be down."""
    n_up, total, square_sum = 0, 0.0, 0.0
    for server in range(servers.present.shape[1]):
        if not servers.known_down[env, balancer, server]:
            utilisation = step.utilisation[env, server]
            n_up += 1
            total += utilisation
            square_sum += utilisation * utilisation
    return total * total / (max(n_up, 1) * square_sum) if square_sum > _TINY else 1.0
