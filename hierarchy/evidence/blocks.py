"""Recordings: what a figure varies with where all seeds replay stretches of one recording.

Stretches overlap, and all training seeds replay the same ones: neither more evaluation seeds nor more training seeds say
more about other recordings. So the unit is a block of the recording, all windows that began in it, whatever the seed; with
several training seeds, their luck in training varies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from envs.core.arrays import FloatArray, IntArray

N_BLOCKS = 20
"""Blocks that a recording is cut into; a block should be longer than what one request does to the next."""


class Blocks(TypedDict):
    """Of windows on a recording, by block: sums of their objective, and how many there were."""

    sums: list[float]
    counts: list[float]


def block_at(position: FloatArray) -> IntArray:
    """The block of a position in a recording, in [0, 1)."""
    block: IntArray = np.minimum((position * N_BLOCKS).astype(np.int64), N_BLOCKS - 1)
    return block


def blocks_of(values: FloatArray, position: FloatArray) -> Blocks:
    """Sums and counts of ``values (n_windows, n_seeds)`` by block of a recording.

    ``position``, of the same shape, is where in the recording a window began, in [0, 1).
    """
    block = block_at(position).ravel()
    sums = np.bincount(block, weights=values.ravel(), minlength=N_BLOCKS).astype(np.float64)
    counts = np.bincount(block, minlength=N_BLOCKS).astype(np.float64)
    return {"sums": sums.tolist(), "counts": counts.tolist()}


def block_effects(sums: FloatArray, counts: FloatArray) -> list[FloatArray]:
    """Effects on means over windows: of blocks ``(..., n_blocks)``, and of training seeds ``(..., n_training)``.

    ``sums (..., n_training, N_BLOCKS)`` and ``counts (n_training, N_BLOCKS)`` are those of every training seed. A mean is a
    ratio of two sums over units; their effects on it are those of its linear part (Cochran, "Sampling techniques", 1977,
    chapter 6), so that a block weighs as many windows as it holds. Blocks without windows are left out.
    """
    mean = sums.sum((-2, -1)) / counts.sum()
    effects = []
    for axis in (-2, -1):
        of_units, n_windows = sums.sum(axis), counts.sum(axis)
        there = n_windows > 0
        of_units, n_windows = of_units[..., there], n_windows[there]
        effects.append((of_units - mean[..., None] * n_windows) / n_windows.mean())
    return effects


def summed(blocks: Sequence[Blocks | None]) -> Blocks | None:
    """All windows of several training seeds by block; None where there is no recording."""
    there = [one for one in blocks if one is not None]
    if not there:
        return None
    sums, counts = (np.sum([one[key] for one in there], axis=0).tolist() for key in ("sums", "counts"))
    return {"sums": sums, "counts": counts}
