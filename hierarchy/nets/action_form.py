"""What an action space is, as plain values that come back as the same space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces

from envs.core.validation import SettingError, check, setting

Kind = Literal["discrete", "multi_discrete", "box"]
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ActionForm:
    """One choice, several of them, or numbers within bounds."""

    kind: Kind
    """of the space"""
    sizes: list[int] = setting(default_factory=list, ge=1, le=1e6)
    """options of each choice"""
    low: list[float] = setting(default_factory=list, ge=-LARGEST, le=LARGEST)
    """of each number"""
    high: list[float] = setting(default_factory=list, ge=-LARGEST, le=LARGEST)
    """of each number"""

    def __post_init__(self) -> None:
        check(self)
        if any(low > high for low, high in zip(self.low, self.high, strict=False)):
            raise SettingError("low", "no number above its one in high", self.low)
        n_sizes, n_bounds = (0, 1) if self.kind == "box" else (1, 0)
        fits = min(1, len(self.sizes)) == n_sizes and min(1, len(self.low)) == n_bounds and len(self.low) == len(self.high)
        if not fits or (self.kind == "discrete" and len(self.sizes) > 1):
            raise SettingError("kind", f"one that belongs to {len(self.sizes)} sizes and {len(self.low)} bounds", self.kind)

    @property
    def n_parameters(self) -> int:
        """Outputs of a network that an action is taken from."""
        return sum(self.sizes) + len(self.low)

    @property
    def space(self) -> spaces.Space[Any]:
        """The space itself."""
        if self.kind == "discrete":
            return spaces.Discrete(self.sizes[0])
        if self.kind == "multi_discrete":
            return spaces.MultiDiscrete(self.sizes)
        return spaces.Box(np.array(self.low, np.float32), np.array(self.high, np.float32), dtype=np.float32)


def form_of(space: spaces.Space[Any]) -> ActionForm:
    """The form of a space.

    Raises
    ------
    ValueError
        Another space than `Discrete`, or `MultiDiscrete` and `Box` of one dimension.
    """
    if isinstance(space, spaces.Discrete):
        return ActionForm("discrete", [int(space.n)])
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return ActionForm("multi_discrete", space.nvec.tolist())
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = (np.clip(bound, -LARGEST, LARGEST).tolist() for bound in (space.low, space.high))
        return ActionForm("box", [], low, high)
    raise ValueError(f"action_space must be Discrete, or MultiDiscrete or Box of one dimension, got {space}")
