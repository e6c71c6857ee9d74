"""Soft actor-critic over a GRU as a lower agent: its settings, which build it. Importing them costs no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from gymnasium import spaces

from envs.core.validation import SettingError, setting
from hierarchy.lower.config import LowerConfig
from hierarchy.team.requires import check_torchrl

if TYPE_CHECKING:
    from hierarchy.protocols import Learner
    from hierarchy.vec_env import BatchVecEnv


@dataclass(frozen=True)
class SACGRUConfig(LowerConfig):
    """Soft actor-critic (Haarnoja et al., 2018; of choices: Christodoulou, 2019) with memory, from replayed sequences."""

    algorithm: Literal["sac_gru"] = setting("sac_gru", one_of=("sac_gru",))
    """soft actor-critic over a GRU, off policy"""
    buffer_size: int = setting(200_000, gt=0)
    """actions kept, over all envs"""
    learning_starts: int = setting(4_000, gt=0)
    """actions before anything is learned, over all envs"""
    batch_size: int = setting(32, gt=0)
    """sequences in a gradient step"""
    burn_in: int = setting(4, ge=0)
    """actions of a sequence that only make its memory, which begins as it was (Kapturowski et al., ICLR 2019)"""
    unroll: int = setting(12, gt=0)
    """actions of a sequence that are learned from"""
    updates: int = setting(1, gt=0)
    """gradient steps after every action of all envs"""
    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start, for all networks and the entropy's weight"""
    final_share: float = setting(0.1, ge=0, le=1)
    """share of the learning rate that is left at the end, to which it falls in a line"""
    gamma: float = setting(0.95, ge=0, le=1)
    """discount per action"""
    tau: float = setting(0.01, gt=0, le=1)
    """of the target networks"""
    entropy_share: float = setting(0.3, ge=0, le=1)
    """entropy aimed at, as a share of the largest, of each choice; of numbers it is minus one nat each (1 as SAC has it)"""
    hidden_size: int = setting(64, gt=0)
    """GRU and layer width"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, only in (("policy", "joint"), ("history", 1), ("normalise_observations", False)):
            if getattr(self, name) != only:
                raise SettingError(name, f"{only} where algorithm is {self.algorithm}", getattr(self, name))
        if self.buffer_size < self.n_envs * (self.length + 1):
            least = self.n_envs * (self.length + 1)
            raise SettingError("buffer_size", f">= n_envs * (burn_in + unroll + 1) ({least})", self.buffer_size)

    @property
    def length(self) -> int:
        """Actions of a sequence."""
        return self.burn_in + self.unroll

    def check_world(self, n_parts: int, action_space: spaces.Space[Any], constraints: Collection[str] = ()) -> None:
        """Whether it can act: by choices of equal sizes, or by numbers with bounds.

        Raises
        ------
        SettingError
            It can't, or TorchRL is not installed.
        """
        check_torchrl(self.algorithm)
        bounded = isinstance(action_space, spaces.Box) and bool(np.isfinite([action_space.low, action_space.high]).all())
        equal = isinstance(action_space, spaces.MultiDiscrete) and len(set(action_space.nvec.tolist())) == 1
        if not (bounded or equal or isinstance(action_space, spaces.Discrete)):
            raise SettingError("algorithm", f"another for {action_space}", self.algorithm)

    def build(self, env: BatchVecEnv, seed: int, contextual: bool = True) -> Learner:
        """A fresh agent over ``env``; one that is not ``contextual`` has one task, whatever its context says.

        Raises
        ------
        SettingError
            It can't act there, or TorchRL is not installed.
        """
        check_torchrl(self.algorithm)
        from hierarchy.lower import sac_learner

        return sac_learner.build(self, env, seed, contextual)
