"""The last windows side by side, as an upper agent's memory: its settings. Importing them costs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envs.core.validation import check, setting
from hierarchy.window_memories import WindowNames

if TYPE_CHECKING:
    from hierarchy.nets.window_memory import MemoryForm, WindowMemory


@dataclass(frozen=True)
class StackedConfig:
    """The last windows and the contexts in force in them, the newest last; zeros before the first."""

    kind: Literal["stacked"] = setting("stacked", one_of=("stacked",))
    """the last windows side by side"""
    n_windows: int = setting(4, ge=2, le=100)
    """windows that are observed, the last one included"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def fit_episodes(self) -> int:
        """There is nothing to fit."""
        return 0

    def form(self, names: WindowNames) -> MemoryForm:
        """All that is observed is stacked."""
        from hierarchy.nets.window_memory import MemoryForm

        return MemoryForm("stacked", names.n_features, self.n_windows)

    @staticmethod
    def module(form: MemoryForm) -> WindowMemory:
        """An empty stack."""
        from hierarchy.nets.window_memory import StackedWindows

        return StackedWindows(form)
