"""The settings of an upper agent that remembers nothing of windows before the last. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import setting
from hierarchy.window_memories import WindowNames

if TYPE_CHECKING:
    from hierarchy.nets.window_memory import MemoryForm, WindowMemory


@dataclass(frozen=True)
class NoMemory:
    """The last window is all that is observed."""

    kind: Literal["none"] = setting("none", one_of=("none",))
    """nothing is remembered"""

    @property
    def fit_episodes(self) -> int:
        """There is nothing to fit."""
        return 0

    def form(self, names: WindowNames) -> None:
        """There is none."""

    @staticmethod
    def module(form: MemoryForm) -> WindowMemory:
        """There is none."""
        raise NotImplementedError
