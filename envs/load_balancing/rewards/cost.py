"""What the servers cost."""

from __future__ import annotations

import numpy as np

from envs.core.arrays import FloatArray
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements


def cost(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Cost of the step over the cost of all servers present fully used; 0 in a pool that costs nothing."""
    most_usd = measurements.max_cost_usd_per_h * config.dt_s / 3600.0
    cost_usd = measurements.step.cost_usd
    return np.divide(cost_usd, most_usd, out=np.zeros(len(cost_usd)), where=most_usd > 0)
