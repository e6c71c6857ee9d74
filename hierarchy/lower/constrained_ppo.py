"""Recurrent PPO within bounds as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gymnasium import spaces

from envs.core.validation import SettingError, setting
from hierarchy.lower.multipliers import MultiplierConfig
from hierarchy.lower.ppo_config import PPOConfig

if TYPE_CHECKING:
    from hierarchy.protocols import Learner
    from hierarchy.vec_env import BatchVecEnv


@dataclass(frozen=True)
class ConstrainedPPOConfig(PPOConfig):
    """Recurrent PPO that keeps the costs of its world within their bounds, under every context."""

    algorithm: Literal["constrained_ppo"] = setting("constrained_ppo", one_of=("constrained_ppo",))
    """recurrent proximal policy optimisation of the Lagrangian"""
    multipliers: MultiplierConfig = field(default_factory=MultiplierConfig)

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """The same as for any policy, and whether the world has constraints.

        Raises
        ------
        SettingError
            It has none, or others than there are multipliers for.
        """
        super().check_world(n_parts, action_space, constraints)
        if not constraints:
            raise SettingError("algorithm", "another in a world without constraints", self.algorithm)
        fixed = self.multipliers.fixed
        if fixed and fixed.keys() != set(constraints):
            raise SettingError("multipliers.fixed", f"a number for each of {', '.join(constraints)}, or none", fixed)

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh agent over ``env``, see :meth:`hierarchy.lower.recurrent_ppo.RecurrentPPOConfig.build`.

        Raises
        ------
        SettingError
            The world doesn't fit, see :meth:`check_world`.
        """
        from hierarchy.lower import constrained_agent

        return constrained_agent.build(self, env, seed, contextual)
