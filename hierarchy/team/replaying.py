"""Settings of teams that learn from a buffer of transitions. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import SettingError, setting
from hierarchy.team.config import TeamConfig


@dataclass(frozen=True)
class ReplayConfig(TeamConfig):
    """A team that learns from a buffer of transitions."""

    buffer_size: int = setting(20_000, gt=0)
    """transitions kept"""
    batch_size: int = setting(128, gt=0)
    """transitions in a gradient step"""
    updates: int = setting(1, gt=0)
    """gradient steps after every step of all envs"""
    tau: float = setting(0.01, gt=0, le=1)
    """of the target networks"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.buffer_size < self.batch_size:
            raise SettingError("buffer_size", f">= batch_size ({self.batch_size})", self.buffer_size)


@dataclass(frozen=True)
class ExploringConfig(ReplayConfig):
    """One that takes a choice at random now and then."""

    epsilon: float = setting(1.0, ge=0, le=1)
    """share of choices that are drawn uniformly, at the start"""
    final_epsilon: float = setting(0.05, ge=0, le=1)
    """the same at the end, to which it falls in a line"""
    exploration_share: float = setting(0.5, gt=0, le=1)
    """share of the training over which it falls"""

    def epsilon_at(self, progress: float) -> float:
        """Share of choices that are drawn uniformly, ``progress`` from 0 to 1 into the training."""
        return self.epsilon + (self.final_epsilon - self.epsilon) * min(progress / self.exploration_share, 1.0)
