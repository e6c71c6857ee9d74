"""What moves slowly, whatever is done, and is told to nobody."""

from __future__ import annotations

from dataclasses import dataclass

from envs.core.validation import check, setting


@dataclass(frozen=True)
class DriftConfig:
    """Slow swings of what servers can do and of what comes; 0 stays as it is."""

    speed: float = setting(0.0, ge=0, lt=1)
    """largest change of a server's speed, as a share of it; every server swings by itself"""
    interactive_share: float = setting(0.0, ge=0, le=1)
    """largest shift of the interactive share of all regimes; shares stay within 0 and 1, and loads as they are"""
    period_s: float = setting(14_400.0, ge=1, le=1e9)
    """seconds of a swing to and fro"""

    def __post_init__(self) -> None:
        check(self)

    @property
    def moves(self) -> bool:
        """Whether anything does."""
        return self.speed > 0.0 or self.interactive_share > 0.0
