"""Reward terms of the load-balancing world: one function each, a loss in [0, 1], one entry in :data:`TERMS`.

The reward of a step is ``-sum_k context_k * term_k``; the order of :data:`TERMS` is the order of the context.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.fairness import unfairness
from envs.core.shaping import Shaping
from envs.core.terms import RewardTerm, reward_term
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements

Loss = Callable[[LoadBalancingConfig, Measurements], FloatArray]
"""From settings and measurements to a loss ``(n_envs,)``."""

LINEAR_TO_DEADLINES = 0.25
"""Mean latency, in deadlines, up to which the latency term is about linear: where a pool in good health spends its time."""
WORST_DEADLINES = 20.0
"""Mean latency, in deadlines, at which it reaches 1."""


def shared_fairly(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """What `reward.fairness_field` says is to be shared, ``(n_envs, n_servers)``."""
    field = config.reward.fairness_field
    return measurements.utilisation if field == "utilisation" else measurements.feature(field)


def fairness(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Unfairness between the servers not known to be down: 0 when all share alike, 1 when one has everything."""
    shared = shared_fairly(config, measurements)
    return unfairness(shared, ~measurements.known_down, config.reward.fairness_measure)


def latency(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Waiting in units of deadlines per flow, ``x``, on a log scale: ``log(1 + 4 x) / log(1 + 80)``, held at 1.

    A scale that saturates early would make overload cheap, a linear one would hide everything below it.

    ``x`` is the time all flows spent in the system during the step, each divided by the deadline of its class, over the
    moving mean of arrivals per step: by Little's law its long-run mean is the mean of latency over deadline. Flows still
    waiting are charged as they wait; a lost or rejected one counts `loss_weight` deadlines.
    """
    step = measurements.step
    waiting = (step.flow_seconds / measurements.deadline_s).sum(-1)
    lost = config.reward.loss_weight * step.unanswered.sum(-1)
    x = (waiting + lost) / step.arrivals_per_step
    loss: FloatArray = np.log1p(x / LINEAR_TO_DEADLINES) / np.log1p(WORST_DEADLINES / LINEAR_TO_DEADLINES)
    return np.minimum(loss, 1.0)


def cost(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Cost of the step over the cost of all servers present fully used; 0 in a pool that costs nothing."""
    most_usd = measurements.max_cost_usd_per_h * config.dt_s / 3600.0
    cost_usd = measurements.step.cost_usd
    return np.divide(cost_usd, most_usd, out=np.zeros(len(cost_usd)), where=most_usd > 0)


TERMS: dict[str, Loss] = {"fairness": fairness, "latency": latency, "cost": cost}


def terms(config: LoadBalancingConfig) -> dict[str, RewardTerm]:
    """The reward terms of a config's world, in the order of the context."""
    return {name: reward_term(functools.partial(loss, config)) for name, loss in TERMS.items()}


def excess_late(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """The soft constraint: the share of late flows in the step above `reward.late_limit`."""
    step = measurements.step
    late_share = np.minimum(step.late.sum(-1) / step.arrivals_per_step, 1.0)
    excess: FloatArray = np.maximum(late_share - (config.reward.late_limit or 0.0), 0.0)
    return excess


def potential(measurements: Measurements) -> FloatArray:
    """Potential of the state for shaping: minus the backlog in steps' worth of arrivals, ``(n_envs,)``."""
    backlog: FloatArray = measurements.in_flight.sum(-1) / measurements.step.arrivals_per_step
    return -backlog


def penalty(config: LoadBalancingConfig, weighting: Weighting) -> RewardTerm | None:
    """What comes off beside the mix: the price of moving weights, the soft constraint, shaping; None without any."""
    settings = config.reward
    parts: list[RewardTerm] = []
    if settings.switching_cost > 0:
        parts.append(settings.switching_cost * Switching(weighting))
    if settings.late_limit is not None:
        parts.append(settings.late_penalty * reward_term(functools.partial(excess_late, config)))
    if settings.shaping:
        parts.append(-Shaping(potential, settings.shaping_gamma))
    return functools.reduce(operator.add, parts) if parts else None


class Switching(RewardTerm):
    """How far the agent moved its weights in the step, a share of the way from one end to the other."""

    def __init__(self, weighting: Weighting) -> None:
        self._weighting = weighting

    def extract(self, measurements: Measurements, moved: BoolArray) -> FloatArray:
        return self._weighting.change

    def __deepcopy__(self, memo: object) -> Switching:
        """A copy watches the same weights."""
        return self
