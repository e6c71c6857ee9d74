"""Made-up figures of seeds."""

from __future__ import annotations

import numpy as np


def normal(seed: int, n: int = 10, mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, spread, n)


def single(*arms: np.ndarray) -> list[np.ndarray]:
    """Figures of a single training seed from those of its evaluation seeds, ``(1, n)`` each."""
    return [arm[None] for arm in arms]
