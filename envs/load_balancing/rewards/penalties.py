"""What comes off the reward beside the mix."""

from __future__ import annotations

import functools
import operator

import numpy as np

from envs.core.arrays import BoolArray, FloatArray
from envs.core.shaping import Shaping
from envs.core.terms import RewardTerm, reward_term
from envs.load_balancing.actions import Weighting
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements


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
