"""Worlds of interchangeable parts, as their action spaces show them."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces


def choices(action_space: spaces.Space[Any], n_parts: int) -> tuple[int, int]:
    """How many choices there are for each part, which stand side by side, and how many levels for each of them.

    Raises
    ------
    ValueError
        The action isn't equally many choices of equally many levels per part.
    """
    if isinstance(action_space, spaces.MultiDiscrete) and n_parts > 0:
        sizes = action_space.nvec
        if sizes.ndim == 1 and (sizes == sizes[0]).all() and len(sizes) % n_parts == 0:
            return len(sizes) // n_parts, int(sizes[0])
    raise ValueError(f"action_space must be choices of equally many levels for {n_parts} parts, got {action_space}")
