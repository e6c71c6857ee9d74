"""What the agent may set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from envs.core.validation import SettingError, check, setting

BEST = "best"
"""In place of a rule's name."""
ActionMode = Literal["levels", "weights", "deltas", "guided"]


@dataclass(frozen=True)
class Actions:
    """What the agent may set."""

    mode: ActionMode = "levels"
    """levels picks one of `levels` per server, weights is a Box in [0, 1], deltas moves them by up to `max_delta`, guided
    follows `rule` or holds a plan"""
    levels: list[float] = setting(default_factory=lambda: [0.0, 0.25, 0.5, 1.0, 2.0], ge=0, n_min=1)
    """weights to choose from; without 0 no server is ever drained"""
    scale_by_capacity: bool = True
    """multiply the weights by the nominal capacities, so that equal levels mean SED with true capacities"""
    max_delta: float = setting(0.25, gt=0)
    """largest change of a weight in one step, in mode deltas"""
    rule: str = BEST
    """in mode guided, the switching rule that the agent starts from; best is that with the best objective on selection
    seeds, of those that have the backends of the world"""
    numbers: dict[str, Any] = field(default_factory=dict)
    """of that rule; {} takes what an engineer would try first, until a search has found better ones"""
    every_steps: int = setting(1, ge=1, le=100_000)
    """steps between two actions that are listened to; what is asked for stands meanwhile"""
    delay_steps: int = setting(0, ge=0, le=100_000)
    """steps until an action takes effect"""

    def __post_init__(self) -> None:
        check(self)
        if not any(self.levels):
            raise SettingError("levels", "> 0 for at least one weight", self.levels)
