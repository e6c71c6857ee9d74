"""Settings of PPO over a recurrent policy. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import SettingError, setting
from hierarchy.lower.config import LowerConfig


@dataclass(frozen=True)
class PPOConfig(LowerConfig):
    """PPO (Schulman et al., 2017), whatever its loss has beside."""

    n_steps: int = setting(64, gt=0)
    """actions of every env in a rollout"""
    batch_size: int = setting(512, gt=0)
    """samples in a minibatch"""
    n_epochs: int = setting(10, gt=0)
    """passes over a rollout"""
    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start"""
    final_share: float = setting(0.02, ge=0, le=1)
    """share of the learning rate that is left at the end, to which it falls in a line"""
    gamma: float = setting(0.98, ge=0, le=1)
    """discount per action; 0.98 looks some 50 of them ahead"""
    gae_lambda: float = setting(0.9, ge=0, le=1)
    """bias against variance in advantages"""
    clip_range: float = setting(0.2, ge=0, le=1)
    """of PPO's ratio"""
    ent_coef: float = setting(0.002, ge=0)
    """weight of the entropy bonus"""
    explore_together: bool = False
    """the agents of an env draw their actions with the same random numbers: those that are of one mind act alike; a single
    agent draws as ever"""
    hidden_size: int = setting(64, gt=0)
    """LSTM and layer width"""

    def __post_init__(self) -> None:
        super().__post_init__()
        n_samples = self.n_envs * self.n_steps
        if self.batch_size > n_samples:
            raise SettingError("batch_size", f"<= n_envs * n_steps ({n_samples})", self.batch_size)
