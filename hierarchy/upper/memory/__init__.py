"""What an upper agent remembers of windows before the last: every kind by name. Importing it costs no torch."""

from __future__ import annotations

from hierarchy.upper.memory.belief import BeliefConfig
from hierarchy.upper.memory.none import NoMemory
from hierarchy.upper.memory.stacked import StackedConfig
from hierarchy.window_memories import MemoryConfig

MEMORIES: dict[str, type[MemoryConfig]] = {"none": NoMemory, "stacked": StackedConfig, "belief": BeliefConfig}
"""The settings of each kind, which build it."""
DEFAULT = NoMemory
