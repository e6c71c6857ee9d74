"""What runs a world without learning."""

from __future__ import annotations

from typing import Any, Protocol

from envs.core.arrays import Array


class Controller(Protocol):
    """Measurements in, settings out, step by step: a rule, or a pair of trained agents."""

    def decide(self, measurements: Any) -> Array:
        """What to set until the next step, ``(n_envs, ...)``."""


class Rule(Protocol):
    """A controller that needs no training; an entry in the `RULES` of a world's family."""

    def configured(self, config: Any) -> Any:
        """The world's settings as the rule has them."""

    def start(self, config: Any, n_envs: int) -> Controller:
        """The rule from the beginning of the episodes of a batch on."""
