"""Reward terms of the load-balancing world: one function each, a loss in [0, 1], one entry in :data:`TERMS`.

The reward of a step is ``-sum_k context_k * term_k``; the order of :data:`TERMS` is the order of the context.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.fairness import unfairness
from envs.core.shaping import Shaping
from envs.core.terms import RewardTerm, reward_term
from envs.load_balancing.kernel.servers.state import max_cost_usd_per_h

if TYPE_CHECKING:
    from envs.load_balancing.config import Reward
    from envs.load_balancing.world import LoadBalancing

FloatArray = NDArray[np.float64]

LINEAR_TO_DEADLINES = 0.25
"""Mean latency, in deadlines, up to which the latency term is about linear: where a pool in good health spends its time."""
WORST_DEADLINES = 20.0
"""Mean latency, in deadlines, at which it reaches 1."""


def shared_fairly(world: LoadBalancing) -> FloatArray:
    """What `reward.fairness_field` says is to be shared, ``(n_envs, n_servers)``."""
    field = world.config.reward.fairness_field
    return world.utilisation if field == "utilisation" else world.measured(field)


def fairness(world: LoadBalancing) -> FloatArray:
    """Unfairness between the servers not known to be down: 0 when all share alike, 1 when one has everything."""
    measure = world.config.reward.fairness_measure
    return unfairness(shared_fairly(world), ~world.state.servers.known_down, measure)


def latency(world: LoadBalancing) -> FloatArray:
    """Waiting in units of deadlines per flow, ``x``, on a log scale: ``log(1 + 4 x) / log(1 + 80)``, held at 1.

    A scale that saturates early would make overload cheap, a linear one would hide everything below it.

    ``x`` is the time all flows spent in the system during the step, each divided by the deadline of its class, over the
    moving mean of arrivals per step: by Little's law its long-run mean is the mean of latency over deadline. Flows still
    waiting are charged as they wait; a lost or rejected one counts `loss_weight` deadlines.
    """
    waiting = (world.step.flow_seconds / world.deadline_s).sum(-1)
    lost = world.config.reward.loss_weight * world.step.unanswered.sum(-1)
    x = (waiting + lost) / world.step.arrivals_per_step
    loss: FloatArray = np.log1p(x / LINEAR_TO_DEADLINES) / np.log1p(WORST_DEADLINES / LINEAR_TO_DEADLINES)
    return np.minimum(loss, 1.0)


def cost(world: LoadBalancing) -> FloatArray:
    """Cost of the step over the cost of all servers present fully used; 0 in a pool that costs nothing."""
    most_usd = max_cost_usd_per_h(world.state.servers) * world.config.dt_s / 3600.0
    return np.divide(world.step.cost_usd, most_usd, out=np.zeros(world.n_envs), where=most_usd > 0)


TERMS: dict[str, Callable[[LoadBalancing], FloatArray]] = {"fairness": fairness, "latency": latency, "cost": cost}


@reward_term
def switching(world: LoadBalancing) -> FloatArray:
    """How far the weights moved in the step, a share of the way from one end to the other."""
    return world.weight_change


@reward_term
def excess_late(world: LoadBalancing) -> FloatArray:
    """The soft constraint: the share of late flows in the step above `reward.late_limit`."""
    late_share = np.minimum(world.step.late.sum(-1) / world.step.arrivals_per_step, 1.0)
    excess: FloatArray = np.maximum(late_share - (world.config.reward.late_limit or 0.0), 0.0)
    return excess


def potential(world: LoadBalancing) -> FloatArray:
    """Potential of the state for shaping: minus the backlog in steps' worth of arrivals, ``(n_envs,)``."""
    backlog: FloatArray = world.in_flight.sum(-1) / world.step.arrivals_per_step
    return -backlog


def penalty(settings: Reward) -> RewardTerm | None:
    """What comes off beside the mix: the soft constraint, the price of moving weights, shaping; None without any."""
    parts: list[RewardTerm] = []
    if settings.switching_cost > 0:
        parts.append(settings.switching_cost * switching)
    if settings.late_limit is not None:
        parts.append(settings.late_penalty * excess_late)
    if settings.shaping:
        parts.append(-Shaping(potential, settings.shaping_gamma))
    return functools.reduce(operator.add, parts) if parts else None
