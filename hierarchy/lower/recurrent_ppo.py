"""Recurrent PPO (Schulman et al., 2017) as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import setting
from hierarchy.lower.ppo_config import PPOConfig

if TYPE_CHECKING:
    from hierarchy.protocols import Learner
    from hierarchy.vec_env import BatchVecEnv


@dataclass(frozen=True)
class RecurrentPPOConfig(PPOConfig):
    """Recurrent PPO, its context part of what it observes."""

    algorithm: Literal["recurrent_ppo"] = setting("recurrent_ppo", one_of=("recurrent_ppo",))
    """recurrent proximal policy optimisation"""

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh agent over ``env``, which begins near the nominal action.

        One that is not ``contextual`` has one task, whatever its context says: advantages are not scaled by context, and
        rewards are scaled by their running spread, since they come in units of their own.

        Raises
        ------
        SettingError
            An equivariant policy in a world without interchangeable parts.
        """
        from hierarchy.lower import ppo_learner

        return ppo_learner.build(self, env, seed, contextual)
