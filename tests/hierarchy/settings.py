"""Settings of one algorithm made of those of another."""

from __future__ import annotations

import dataclasses
from typing import Any


def like(kind: Any, given: Any, **settings: Any) -> Any:
    """An algorithm's settings, those of another one where both have them."""
    names = {field.name for field in dataclasses.fields(kind)} - {"algorithm"}
    return kind(**{name: getattr(given, name) for name in names if hasattr(given, name)} | settings)
