"""How busy the servers are."""

from __future__ import annotations

from envs.core.arrays import FloatArray
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements


def busy(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Mean utilisation, ``(n_envs,)``."""
    mean: FloatArray = measurements.utilisation.mean(-1)
    return mean
