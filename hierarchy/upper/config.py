"""Settings that upper agents share, whatever they learn by. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from envs.core.context import ContextDistribution
from envs.core.validation import SettingError, check, chosen, setting
from hierarchy.upper import memory as memories
from hierarchy.window_memories import MemoryConfig

MetaStep = Literal["window", "episode"]
LEAST_WINDOWS = 3
"""Of an episode that a memory is fitted to: what is measured of the last one comes too late."""


@dataclass(frozen=True)
class UpperConfig:
    """An upper agent over windows of the running simulation."""

    algorithm: str = ""
    """name in the registry"""
    meta_step: MetaStep = setting("window", one_of=get_args(MetaStep))
    """window runs `meta_period` lower steps, episode a whole episode"""
    meta_period: int = setting(20, gt=0)
    """lower steps in a window"""
    meta_steps: int = setting(8_000, gt=0)
    """meta steps to train for, over all envs"""
    episode_windows: int = setting(100, gt=0)
    """windows after which the simulation starts again"""
    n_envs: int = setting(16, gt=0)
    """meta envs side by side"""
    paired: bool = False
    """rewards are what they are above those of a twin on the same requests, under the best fixed mix if that is begun at, or
    else under equal weights"""
    from_fixed_best: bool = False
    """begin at the best fixed mix on selection seeds, and be kept only if better than it"""
    ahead_windows: int = setting(0, ge=0)
    """begin at a mix for every state instead, learned from the race for the fixed one, in which mixes are held against each
    other over so many windows from each on; 0 doesn't"""
    context_per_balancer: bool = False
    """set a context for each balancer of a team instead of one for all"""
    memory: MemoryConfig = chosen(lambda: memories.MEMORIES, by="kind", default_factory=memories.DEFAULT)
    """what is remembered of windows before the last"""
    candidates: int = setting(3, gt=0)
    """agents that are trained with different seeds, of which the best on selection seeds is kept"""
    candidate_seeds: int = setting(16, gt=0)
    """selection seeds that candidates are held against each other on"""

    def __post_init__(self) -> None:
        check(self)
        if self.ahead_windows and not self.from_fixed_best:
            raise SettingError("ahead_windows", "0 without from_fixed_best", self.ahead_windows)
        if self.ahead_windows and self.meta_step == "episode":
            raise SettingError("ahead_windows", "0 where a meta step is an episode", self.ahead_windows)
        if self.memory.kind != "none" and self.meta_step == "episode":
            raise SettingError("memory.kind", "none where a meta step is an episode", self.memory.kind)
        if self.memory.fit_episodes and self.episode_windows < LEAST_WINDOWS:
            allowed = f">= {LEAST_WINDOWS} with memory {self.memory.kind}, which is fitted to what follows what"
            raise SettingError("episode_windows", allowed, self.episode_windows)


@dataclass(frozen=True)
class OffPolicyConfig(UpperConfig):
    """An upper agent that learns from a buffer of transitions."""

    learning_rate: float = setting(1e-3, gt=0)
    """of Adam at the start"""
    final_share: float = setting(1.0, ge=0, le=1)
    """share of the learning rate that is left at the end, to which it falls in a line"""
    buffer_size: int = setting(20_000, gt=0)
    """transitions kept"""
    batch_size: int = setting(128, gt=0)
    """transitions in a gradient step"""
    meta_steps_per_update: int = setting(1, gt=0)
    """meta steps to a gradient step, which divide the number of envs"""
    learning_starts: int = setting(1_600, ge=0)
    """meta steps of random contexts before the first gradient step"""
    tau: float = setting(0.005, ge=0, le=1)
    """of the target networks"""
    gamma: float = setting(0.8, ge=0, le=1)
    """discount per meta step"""
    hidden_size: int = setting(64, gt=0)
    """width of the two layers of actor and critics"""
    context: ContextDistribution = field(default_factory=ContextDistribution)
    """random contexts before the first gradient step"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.buffer_size < self.n_envs:
            raise SettingError("buffer_size", f">= n_envs ({self.n_envs})", self.buffer_size)
        if self.n_envs % self.meta_steps_per_update:
            raise SettingError("meta_steps_per_update", f"a divisor of n_envs ({self.n_envs})", self.meta_steps_per_update)
