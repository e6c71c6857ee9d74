"""Batch-constrained Q-learning as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from envs.core.validation import setting
from hierarchy.lower.offline import ValuesConfig


@dataclass(frozen=True)
class BCQConfig(ValuesConfig):
    """Batch-constrained Q-learning of choices (Fujimoto et al., 2019), by d3rlpy."""

    algorithm: Literal["bcq"] = setting("bcq", one_of=("bcq",))
    """the best among the actions that are likely enough on record"""
    likely_share: float = setting(0.3, gt=0, lt=1)
    """actions less likely on record than this share of the likeliest are not taken"""
    beta: float = setting(0.01, ge=0)
    """weight of the squares of the logits of what is on record"""

    @property
    def least_share(self) -> float | None:
        return self.likely_share

    def of_d3rlpy(self, **shared: Any) -> Any:
        from d3rlpy.algos import DiscreteBCQConfig

        return DiscreteBCQConfig(
            action_flexibility=self.likely_share,
            beta=self.beta,
            gamma=self.gamma,
            target_update_interval=self.target_every,
            share_encoder=True,
            **shared,
        )
