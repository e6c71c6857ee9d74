"""Reward terms of the load-balancing world: a function a file, a loss, in [0, 1] by default, and one entry in :data:`TERMS`.

The reward of a step is ``-sum_k context_k * term_k``; the order of :data:`TERMS` is the order of the context.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from envs.core.arrays import FloatArray
from envs.core.terms import RewardTerm, reward_term
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements
from envs.load_balancing.rewards.cost import cost
from envs.load_balancing.rewards.fairness import fairness
from envs.load_balancing.rewards.latency import latency

Loss = Callable[[LoadBalancingConfig, Measurements], FloatArray]
"""From settings and measurements to a loss ``(n_envs,)``."""

TERMS: dict[str, Loss] = {"fairness": fairness, "latency": latency, "cost": cost}
"""The reward terms by name."""


def bounds(config: LoadBalancingConfig) -> tuple[float, float]:
    """Of minus any of the terms."""
    return (-np.inf, 0.0) if config.reward.latency_measure == "forgone" else (-1.0, 0.0)


def terms(config: LoadBalancingConfig) -> dict[str, RewardTerm]:
    """The reward terms of a config's world, in the order of the context."""
    return {name: reward_term(functools.partial(loss, config)) for name, loss in TERMS.items()}
