"""Behaviour cloning as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from envs.core.validation import setting
from hierarchy.lower.offline import OfflineConfig


@dataclass(frozen=True)
class BCConfig(OfflineConfig):
    """Behaviour cloning of choices, by d3rlpy."""

    algorithm: Literal["bc"] = setting("bc", one_of=("bc",))
    """the likeliest action on record"""
    beta: float = setting(0.01, ge=0)
    """weight of the squares of the logits"""

    def of_d3rlpy(self, **shared: Any) -> Any:
        from d3rlpy.algos import DiscreteBCConfig

        return DiscreteBCConfig(beta=self.beta, **shared)
