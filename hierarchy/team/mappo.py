"""MAPPO (Yu et al., NeurIPS 2022): its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.team import TeamEnv
from envs.core.validation import setting
from hierarchy.team.config import AgentsConfig, Reward

if TYPE_CHECKING:
    from hierarchy.team.protocols import TeamLearner


@dataclass(frozen=True)
class ClippedConfig(AgentsConfig):
    """Agents whose policies move by clipped steps."""

    reward: Reward = "team"
    """whose reward an agent learns from"""
    rollout_steps: int = setting(32, gt=0)
    """steps of each env in a rollout"""
    batch_size: int = setting(256, gt=0)
    """steps in a gradient step"""
    epochs: int = setting(4, gt=0)
    """passes over a rollout"""
    gae_lambda: float = setting(0.95, ge=0, le=1)
    """of generalised advantage estimation"""
    clip_range: float = setting(0.2, gt=0)
    """of the ratio of probabilities"""
    entropy_weight: float = setting(0.01, ge=0)
    """in the loss"""
    value_weight: float = setting(1.0, gt=0)
    """in the loss"""
    action_noise: float = setting(0.5, gt=0)
    """standard deviation of actions that are numbers, whose range is 2, at the start; it is learned"""


@dataclass(frozen=True)
class MAPPOConfig(ClippedConfig):
    """MAPPO: policies on observations, values of the whole state."""

    algorithm: Literal["mappo"] = setting("mappo", one_of=("mappo",))
    """proximal policy optimisation with a central critic"""

    def build(self, env: TeamEnv, seed: int) -> TeamLearner:
        """A fresh team in ``env``."""
        self.check_buildable(env.spec)
        from hierarchy.team.clipped_policies import ClippedLearner

        return ClippedLearner(env, self, seed, is_central=True)
