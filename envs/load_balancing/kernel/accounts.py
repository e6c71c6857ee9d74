"""What a step adds up: figures of its own, for the reward terms, and the sums that window statistics are made of."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.core.jit import inlined
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.kernel.servers import FAILED, OFF

FloatArray = NDArray[np.float64]

CLASS_COUNTS: tuple[str, ...] = ("arrived", "completed", "lost", "rejected", "on_time", "late", "in_flight")
ARRIVED, COMPLETED, LOST, REJECTED, ON_TIME, LATE, IN_FLIGHT = range(len(CLASS_COUNTS))
CLASS_TIMES: tuple[str, ...] = ("latency_s", "flow_seconds", "oldest_s")
LATENCY_S, FLOW_SECONDS, OLDEST_S = range(len(CLASS_TIMES))
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


def prices(config: LoadBalancingConfig) -> Prices:
    """The kernel's view of what time costs."""
    return Prices(
        dt_s=config.dt_s,
        idle_share=config.pool.idle_share,
        keep=math.exp(-config.dt_s / ARRIVALS_MEMORY_S),
    )


class Step(NamedTuple):
    """What the last step did. Written anew every step: copy what is to be kept."""

    flow_seconds: FloatArray  # (n_envs, n_classes) time spent in the system by all flows
    unanswered: FloatArray  # (n_envs, n_classes) lost and rejected
    late: FloatArray  # (n_envs, n_classes) past their deadline, or unanswered
    arrived: FloatArray  # (n_envs,)
    arrivals_per_step: FloatArray  # (n_envs,) moving mean, this step included
    utilisation: FloatArray  # (n_envs, n_servers) share of the cores in use
    cost_usd: FloatArray  # (n_envs,)


def new_step(n_envs: int, n_servers: int, n_classes: int) -> Step:
    """A step in which nothing happened."""
    return Step(
        flow_seconds=np.zeros((n_envs, n_classes)),
        unanswered=np.zeros((n_envs, n_classes)),
        late=np.zeros((n_envs, n_classes)),
        arrived=np.zeros(n_envs),
        arrivals_per_step=np.ones(n_envs),
        utilisation=np.zeros((n_envs, n_servers)),
        cost_usd=np.zeros(n_envs),
    )


@inlined
def clear_accounts(pc, st, env):  # type: ignore[no-untyped-def]
    """Begin an episode in which nothing was done yet, with the arrivals to expect of it."""
    st.sums[env] = 0.0
    for part in (st.step.flow_seconds, st.step.unanswered, st.step.late, st.step.utilisation):
        part[env] = 0.0
    st.step.arrived[env] = 0.0
    st.step.cost_usd[env] = 0.0
    st.step.arrivals_per_step[env] = max(st.source.mean_rate_hz[env] * pc.dt_s, MIN_ARRIVALS_PER_STEP)


@inlined
def open_step(st, env):  # type: ignore[no-untyped-def]
    """Note where the totals stand."""
    step = st.step
    step.arrived[env] = 0.0
    for flow_class in range(step.late.shape[1]):
        counts = st.counts[env, flow_class]
        step.flow_seconds[env, flow_class] = -st.times[env, flow_class, FLOW_SECONDS]
        step.unanswered[env, flow_class] = -(counts[LOST] + counts[REJECTED])
        step.late[env, flow_class] = -counts[LATE]
        step.arrived[env] -= counts[ARRIVED]


@inlined
def close_step(pc, st, env):  # type: ignore[no-untyped-def]
    """Take the differences, price the servers and add to the sums."""
    step, sums = st.step, st.sums[env]
    for flow_class in range(step.late.shape[1]):
        counts = st.counts[env, flow_class]
        step.flow_seconds[env, flow_class] += st.times[env, flow_class, FLOW_SECONDS]
        step.unanswered[env, flow_class] += counts[LOST] + counts[REJECTED]
        step.late[env, flow_class] += counts[LATE]
        step.arrived[env] += counts[ARRIVED]
    moving = pc.keep * step.arrivals_per_step[env] + (1.0 - pc.keep) * step.arrived[env]
    step.arrivals_per_step[env] = max(moving, MIN_ARRIVALS_PER_STEP)
    _price_servers(pc, st, env)
    sums[STEPS] += 1.0
    sums[ARRIVED_SQUARED] += step.arrived[env] ** 2
    sums[COST_USD] += step.cost_usd[env]


@inlined
def _price_servers(pc, st, env):  # type: ignore[no-untyped-def]
    sv, step, sums = st.servers, st.step, st.sums[env]
    cost_usd, used, whole = 0.0, 0.0, 0.0
    n_up, n_on, total, square_sum = 0, 0, 0.0, 0.0
    for server in range(sv.present.shape[1]):
        busy_s, billed_s = sv.busy_s[env, server], sv.billed_s[env, server]
        utilisation = busy_s / pc.dt_s
        step.utilisation[env, server] = utilisation
        use_s = pc.idle_share * billed_s + (1.0 - pc.idle_share) * min(busy_s, billed_s)
        cost_usd += use_s * (sv.price_usd_per_h[env, server] / 3600.0)
        used += utilisation * sv.capacity[env, server]
        whole += sv.capacity[env, server]
        n_on += sv.status[env, server] != OFF and sv.status[env, server] != FAILED
        if not sv.known_down[env, server]:
            n_up += 1
            total += utilisation
            square_sum += utilisation * utilisation
    step.cost_usd[env] = cost_usd
    sums[UTILISATION] += used / whole
    sums[JAIN] += total * total / (max(n_up, 1) * square_sum) if square_sum > _TINY else 1.0
    sums[SERVERS_ON] += n_on
