"""Worlds of interchangeable parts, as their action spaces show them."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces


def choices(action_space: spaces.Space[Any]) -> tuple[int, int]:
    """Numbers of parts and of levels for each.

    Raises
    ------
    ValueError
        The action isn't a choice of equally many levels per part.
    """
    if isinstance(action_space, spaces.MultiDiscrete):
        sizes = action_space.nvec
        if sizes.ndim == 1 and (sizes == sizes[0]).all():
            return len(sizes), int(sizes[0])
    raise ValueError(f"action_space must be a choice of equally many levels per part, got {action_space}")
