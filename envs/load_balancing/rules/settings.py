"""What the worlds of all rules have in common."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envs.load_balancing.config import Actions, LoadBalancingConfig
from envs.load_balancing.config.reward import UNSAMPLED


def ruled(config: LoadBalancingConfig, **changes: Any) -> LoadBalancingConfig:
    """A world with some settings of a rule's, which sets weights itself: what actions mean is left at its default.

    No rule reads samples of requests, which take a quarter of the time of a step, so none are drawn, unless fairness is
    measured by them. They have a stream of their own: all else stays bit for bit the same.
    """
    if config.reward.fairness_field in UNSAMPLED:
        changes["telemetry"] = replace(config.telemetry, samples=False)
    return replace(config, actions=Actions(), **changes)
