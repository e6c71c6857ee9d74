"""What tells a job that another attempt at it may not have ended."""

from __future__ import annotations

from envs.core.validation import SettingError


class HeldError(SettingError):
    """What one alone may hold is held by another one: by a stranger, or by a worker that is lost but not gone yet."""
