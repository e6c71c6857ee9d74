"""Reward terms of the stream world, after its report: ``-alpha cost / 10 - beta latency / 1000 + gamma throughput / 1000``.

Terms are losses, so throughput counts negatively. Their order is that of the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from envs.core.terms import RewardTerm, reward_term

if TYPE_CHECKING:
    from envs.spark.world import Spark

FloatArray = NDArray[np.float64]


@reward_term
def cost(world: Spark) -> FloatArray:
    """Cost in $/h, over 10."""
    return world.state.cost_usd_per_h / 10.0


@reward_term
def latency(world: Spark) -> FloatArray:
    """Latency in seconds."""
    return world.state.latency_ms / 1000.0


@reward_term
def throughput(world: Spark) -> FloatArray:
    """Throughput over 1000."""
    return world.state.throughput / 1000.0


@reward_term
def misplaced(world: Spark) -> FloatArray:
    """Hot data on a cold tier, in the extended form."""
    return world.state.misplaced


TERMS: dict[str, RewardTerm] = {"cost": cost, "latency": latency, "throughput": -throughput}
PENALTY: RewardTerm = 0.5 * misplaced
