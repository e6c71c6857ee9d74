"""Reward terms of the stream world, after its report: ``-alpha cost / 10 - beta latency / 1000 + gamma throughput / 1000``.

Terms are losses, so throughput counts negatively. Their order is that of the context.
"""

from __future__ import annotations

from envs.core.arrays import FloatArray
from envs.core.terms import RewardTerm, reward_term
from envs.spark.measurements import Measurements


@reward_term
def cost(measurements: Measurements) -> FloatArray:
    """Cost in $/h, over 10."""
    return measurements.cost_usd_per_h / 10.0


@reward_term
def latency(measurements: Measurements) -> FloatArray:
    """Latency in seconds."""
    return measurements.latency_ms / 1000.0


@reward_term
def throughput(measurements: Measurements) -> FloatArray:
    """Throughput over 1000."""
    return measurements.throughput / 1000.0


@reward_term
def misplaced(measurements: Measurements) -> FloatArray:
    """Hot data on a cold tier, in the extended form."""
    return measurements.misplaced


TERMS: dict[str, RewardTerm] = {"cost": cost, "latency": latency, "throughput": -throughput}
PENALTY: RewardTerm = 0.5 * misplaced
