"""How evenly the servers share."""

from __future__ import annotations

from envs.core.arrays import FloatArray
from envs.core.fairness import unfairness
from envs.load_balancing.config import LoadBalancingConfig
from envs.load_balancing.measurements import Measurements


def shared_fairly(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """What `reward.fairness_field` says is to be shared, ``(n_envs, n_servers)``."""
    field = config.reward.fairness_field
    return measurements.utilisation if field == "utilisation" else measurements.feature(field)


def fairness(config: LoadBalancingConfig, measurements: Measurements) -> FloatArray:
    """Unfairness between the servers not known to be down: 0 when all share alike, 1 when one has everything."""
    shared = shared_fairly(config, measurements)
    return unfairness(shared, ~measurements.known_down, config.reward.fairness_measure)
