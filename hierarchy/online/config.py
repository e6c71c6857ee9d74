"""Settings of an upper agent that goes on learning while it is deployed. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import SettingError, check, setting


@dataclass(frozen=True)
class OnlineConfig:
    """How far from the deployed agent it may go, when it is rolled back, and how it learns."""

    trust: float = setting(0.2, gt=0, le=1)
    """largest share of a mix that may stand elsewhere than in the deployed agent's, half of the sum of all differences"""
    promise: float | None = setting(None)
    """objective that the deployed agent is expected to have; what it had on selection seeds by default"""
    margin: float | None = setting(None, ge=0)
    """what the mean objective may fall short of that; 4.5 standard errors of such a mean on selection seeds by default"""
    windows: int = setting(360, gt=1)
    """windows in that mean, after which it is rolled back at the latest once it is too low"""
    noise: float = setting(0.1, ge=0)
    """standard deviation of the Gaussian noise on actions by which it explores"""
    learning_starts: int = setting(180, ge=1)
    """windows of noise alone around the deployed agent before the first gradient step; in as many more only critics learn"""
    updates: int = setting(2, ge=1)
    """gradient steps a window"""
    buffer_size: int = setting(4_096, gt=0)
    """windows kept, of which the oldest are forgotten first"""
    learning_rate: float = setting(3e-4, gt=0)
    """of Adam"""
    seed: int = setting(0, ge=0)
    """of exploration and of critics that begin anew"""

    def __post_init__(self) -> None:
        check(self)
        if self.buffer_size < self.learning_starts:
            raise SettingError("buffer_size", f">= learning_starts ({self.learning_starts})", self.buffer_size)
