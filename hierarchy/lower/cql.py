"""Conservative Q-learning as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from envs.core.validation import setting
from hierarchy.lower.offline import ValuesConfig


@dataclass(frozen=True)
class CQLConfig(ValuesConfig):
    """Conservative Q-learning (Kumar et al., NeurIPS 2020) of choices, by d3rlpy."""

    algorithm: Literal["cql"] = setting("cql", one_of=("cql",))
    """conservative Q-learning from a dataset"""
    alpha: float = setting(1.0, ge=0)
    """weight of what holds down the values of actions that are not on record"""

    def of_d3rlpy(self, **shared: Any) -> Any:
        from d3rlpy.algos import DiscreteCQLConfig

        return DiscreteCQLConfig(alpha=self.alpha, gamma=self.gamma, target_update_interval=self.target_every, **shared)
