"""Checks that a frozen config runs when it is built: one line that names field, value and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def positive(**fields: float) -> None:
    """Every field is finite and > 0."""
    for name, value in fields.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be > 0, got {value}")


def non_negative(**fields: float) -> None:
    """Every field is finite and >= 0."""
    for name, value in fields.items():
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be >= 0, got {value}")


def share(**fields: float) -> None:
    """Every field is in [0, 1]."""
    for name, value in fields.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must be in [0, 1], got {value}")


def interval(**fields: Sequence[float]) -> None:
    """Every field is empty, or the two finite ends of a range."""
    for name, value in fields.items():
        if value and not (len(value) == 2 and all(map(math.isfinite, value)) and value[0] <= value[1]):
            raise ValueError(f"{name} must be [] or [low, high] with low <= high, got {value}")


def one_of(allowed: Iterable[str], **fields: str) -> None:
    """Every field is one of the allowed words."""
    words = tuple(allowed)
    for name, value in fields.items():
        if value not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}, got {value!r}")
