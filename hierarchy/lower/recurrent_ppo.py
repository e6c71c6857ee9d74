"""Recurrent PPO (Schulman et al., 2017) as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from envs.core.validation import SettingError, setting
from hierarchy.lower.config import LowerConfig

if TYPE_CHECKING:
    from hierarchy.protocols import Learner
    from hierarchy.vec_env import BatchVecEnv


@dataclass(frozen=True)
class RecurrentPPOConfig(LowerConfig):
    """Recurrent PPO, its context part of what it observes."""

    algorithm: Literal["recurrent_ppo"] = setting("recurrent_ppo", one_of=("recurrent_ppo",))
    """recurrent proximal policy optimisation"""
    n_steps: int = setting(64, gt=0)
    """steps of every env in a rollout"""
    batch_size: int = setting(512, gt=0)
    """samples in a minibatch"""
    n_epochs: int = setting(10, gt=0)
    """passes over a rollout"""
    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start; it falls in a line to a fiftieth"""
    gamma: float = setting(0.98, ge=0, le=1)
    """discount per step; 0.98 looks some 12 seconds ahead"""
    gae_lambda: float = setting(0.9, ge=0, le=1)
    """bias against variance in advantages"""
    clip_range: float = setting(0.2, ge=0, le=1)
    """of PPO's ratio"""
    ent_coef: float = setting(0.002, ge=0)
    """weight of the entropy bonus"""
    hidden_size: int = setting(64, gt=0)
    """LSTM and layer width"""

    def __post_init__(self) -> None:
        super().__post_init__()
        n_samples = self.n_envs * self.n_steps
        if self.batch_size > n_samples:
            raise SettingError("batch_size", f"<= n_envs * n_steps ({n_samples})", self.batch_size)

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

    def load(self, path: Path, env: BatchVecEnv | None = None) -> Learner:
        """A saved agent, contextual if it was; over ``env`` it can be trained further.

        Raises
        ------
        SettingError
            It was trained by another algorithm.
        """
        from hierarchy.lower import ppo_learner

        return ppo_learner.load(self, path, env)
