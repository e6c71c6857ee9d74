"""Settings of meta-learning. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import check, setting


@dataclass(frozen=True)
class MetaConfig:
    """How a lower agent learns to learn, in worlds that `env.randomise` draws."""

    steps: int = setting(0, ge=0)
    """env steps in a drawn world before the next one, to the end of a rollout of all envs; 0 learns in all worlds at once,
    one an episode"""
    rate: float = setting(1.0, gt=0, le=1)
    """share of the way to what was learned in a world that is taken; it falls in a line to 0 as training ends"""

    def __post_init__(self) -> None:
        check(self)
